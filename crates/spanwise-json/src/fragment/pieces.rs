//! Pieces of fragments: long members and objects, which inner spans share instead of copying them.

use std::sync::Arc;

use super::MAX_COPIED_LEN;
use crate::member_keys::{KeyedMembers, MemberList, push_table, table_len};

/// The pieces that a span shares with the spans inside it.
#[derive(Debug)]
pub(super) struct SharedPieces {
    pub(super) pieces: Box<[Piece]>,
    /// The length of the text of all pieces, in bytes.
    pub(super) len: usize,
}

/// A run of members with the table of their keys, or a run of objects.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// The text, and then the table of keys if there is one.
    bytes: Arc<[u8]>,
    text_len: u32,
    key_count: u32,
}

impl Piece {
    pub(super) fn new(members: KeyedMembers<'_>) -> Self {
        let count = members.count();
        let bytes: Arc<[u8]> = if count == 0 {
            members.text.into()
        } else {
            let mut bytes = Vec::with_capacity(members.text.len() + table_len(count));
            bytes.extend_from_slice(members.text);
            push_table(&mut bytes, &[members]);
            bytes.into()
        };
        Self {
            bytes,
            text_len: members.text.len() as u32,
            key_count: count as u32,
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.bytes[..self.text_len as usize]
    }

    pub(super) fn members(&self) -> KeyedMembers<'_> {
        let (text, table) = self.bytes.split_at(self.text_len as usize);
        KeyedMembers::from_table(text, table, self.key_count as usize)
    }
}

impl SharedPieces {
    pub(super) fn from_pieces(pieces: Vec<Piece>) -> Option<Arc<Self>> {
        let len = pieces.iter().map(|piece| piece.text_len as usize).sum();
        (!pieces.is_empty()).then(|| {
            Arc::new(Self {
                pieces: pieces.into(),
                len,
            })
        })
    }
}

/// The members of a flat fragment that is being built. `head` becomes the start of
/// [`Fragment::bytes`](super::Fragment), and `pieces` become its shared pieces.
#[derive(Default)]
pub(super) struct MemberPieces {
    pub(super) head: MemberList,
    pub(super) pieces: Vec<Piece>,
}

impl MemberPieces {
    /// Appends `members` to the head if they fit there and there are no pieces yet. Otherwise,
    /// appends them as a piece.
    pub(super) fn push(&mut self, members: KeyedMembers<'_>) {
        let len = self.head.text.len() + members.text.len();
        if self.pieces.is_empty() && len <= MAX_COPIED_LEN {
            self.head.extend(members);
        } else if !members.text.is_empty() {
            self.pieces.push(Piece::new(members));
        }
    }

    /// Appends the own members of a span. Splits long text into pieces, so that a long member is a
    /// piece by itself. An inner span that shadows one member then copies only the piece with this
    /// member, and shares the others.
    pub(super) fn push_own(&mut self, own: KeyedMembers<'_>) {
        if own.text.len() <= MAX_COPIED_LEN {
            return self.push(own);
        }
        let mut piece = MemberList::default();
        for (key_id, member) in own.iter() {
            if !piece.text.is_empty() && piece.text.len() + member.len() > MAX_COPIED_LEN {
                self.pieces.push(Piece::new(piece.as_members()));
                piece = MemberList::default();
            }
            piece.push(key_id, member);
        }
        self.pieces.push(Piece::new(piece.as_members()));
    }
}
