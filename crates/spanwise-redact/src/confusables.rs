//! Letters that look like ASCII letters, and invisible characters.
//!
//! Keys are compared by their appearance, so that `paſſword` is hidden like `password`.

use std::sync::LazyLock;

/// Calls `push` with each character of the folded `key`: escapes are decoded, lookalikes are
/// replaced by ASCII letters, and invisible characters are dropped.
pub(crate) fn fold(key: &str, mut push: impl FnMut(char)) {
    let mut unread = key;
    while let Some(next) = unread.chars().next() {
        if next != '\\' {
            fold_char(next, &mut push);
            unread = &unread[next.len_utf8()..];
            continue;
        }
        // In nested strings, an escape has more than one backslash.
        let escaped = unread.trim_start_matches('\\');
        match decode_escape(escaped) {
            Some((c, after)) => {
                fold_char(c, &mut push);
                unread = after;
            }
            None => {
                // Other escapes, such as `\n`, separate words, and so does a backslash.
                push('\\');
                unread = escaped;
            }
        }
    }
}

/// Decodes `u0061`, `u{61}` or `x61` at the start of a text. Returns the character and the text
/// after the escape.
fn decode_escape(text: &str) -> Option<(char, &str)> {
    let (digits, after) = match text.as_bytes() {
        [b'u', b'{', ..] => text[2..].split_once('}')?,
        [b'u', ..] => (text.get(1..5)?, text.get(5..)?),
        [b'x', ..] => (text.get(1..3)?, text.get(3..)?),
        _ => return None,
    };
    let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    Some((c, after))
}

fn fold_char(c: char, push: &mut impl FnMut(char)) {
    let code = u32::from(c);
    let letter = |from: u8, index: u32| char::from(from + index as u8);
    match code {
        0..=0x7F => push(c),
        // Soft hyphens, zero-width characters, variation selectors, combining accents.
        0xAD | 0x0300..=0x036F | 0x061C | 0x180B..=0x180F | 0x200B..=0x200F => {}
        0x202A..=0x202E | 0x2060..=0x206F | 0xFE00..=0xFE0F | 0xFEFF => {}
        // Full-width forms.
        0xFF01..=0xFF5E => push(char::from((code - 0xFF01 + 0x21) as u8)),
        // Circled, bracketed and squared letters.
        0x24B6..=0x24CF => push(letter(b'A', code - 0x24B6)),
        0x24D0..=0x24E9 => push(letter(b'a', code - 0x24D0)),
        0x249C..=0x24B5 => push(letter(b'a', code - 0x249C)),
        0x1F110..=0x1F189 if (code - 0x1F110) % 32 < 26 => {
            push(letter(b'A', (code - 0x1F110) % 32))
        }
        // Mathematical alphabets of 26 capital and 26 small letters.
        0x1D400..=0x1D6A3 => match (code - 0x1D400) % 52 {
            index @ 0..26 => push(letter(b'A', index)),
            index => push(letter(b'a', index - 26)),
        },
        // Mathematical digits.
        0x1D7CE..=0x1D7FF => push(letter(b'0', (code - 0x1D7CE) % 10)),
        _ => match LETTERS.binary_search_by_key(&c, |(lookalike, _)| *lookalike) {
            Ok(index) => push(LETTERS[index].1),
            Err(_) if c.is_alphanumeric() => c.to_lowercase().for_each(push),
            // Quotes, dashes, spaces.
            Err(_) => push(' '),
        },
    }
}

/// Lookalikes with their ASCII letters, sorted.
static LETTERS: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let mut letters: Vec<(char, char)> = LOOKALIKES
        .iter()
        .flat_map(|(letter, lookalikes)| lookalikes.chars().map(|c| (c, *letter)))
        .filter(|(c, _)| !c.is_whitespace())
        .collect();
    letters.sort_unstable();
    debug_assert!(
        letters.is_sorted_by(|(c, _), (next, _)| c < next),
        "a letter is listed twice"
    );
    letters
});

/// Latin letters with marks or in other forms, and Greek, Cyrillic, Armenian and Cherokee letters.
const LOOKALIKES: &[(char, &str)] = &[
    ('a', "àáâãäåāăąǎǟǡǻȁȃȧḁạảấầẩẫậắằẳẵặɑᴀᵃₐª αά а"),
    ('A', "ÀÁÂÃÄÅĀĂĄǍǞǠǺȀȂȦḀẠẢẤẦẨẪẬẮẰẲẴẶ ΑΆ А Ꭺ"),
    ('b', "ḃḅḇƀɓʙᵇ Ьь"),
    ('B', "ḂḄḆɃƁℬ Β В Ᏼ"),
    ('c', "çćĉċčḉƈȼᴄᶜ ϲ с"),
    ('C', "ÇĆĈĊČḈƇȻℂℭ Ϲ С Ꮯ"),
    ('d', "ďđḋḍḏḑḓɗɖᴅᵈⅆ ԁ"),
    ('D', "ĎĐḊḌḎḐḒƊÐⅅ Ꭰ"),
    ('e', "èéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệɛᴇᵉₑℯⅇ εέ её"),
    ('E', "ÈÉÊËĒĔĖĘĚȄȆȨḔḖḘḚḜẸẺẼẾỀỂỄỆℰ ΕΈ ЕЁ Ꭼ"),
    ('f', "ḟƒꜰᶠ"),
    ('F', "ḞƑℱ Ϝ"),
    ('g', "ĝğġģǥǧǵḡɠɡɢᵍℊ"),
    ('G', "ĜĞĠĢǤǦǴḠƓ Ԍ Ꮐ"),
    ('h', "ĥħȟḣḥḧḩḫẖʜʰℎ һ հ"),
    ('H', "ĤĦȞḢḤḦḨḪℋℌℍ Η Н Ꮋ"),
    ('i', "ìíîïĩīĭįıǐȉȋḭḯỉịɪɩᵢⁱℹⅈ ιίϊ іїӏ"),
    ('I', "ÌÍÎÏĨĪĬĮİǏȈȊḬḮỈỊℐℑ ΙΊ ІЇӀ Ꮖ"),
    ('j', "ĵǰɉᴊʲⅉ ϳ ј"),
    ('J', "ĴɈ Ϳ Ј Ꭻ"),
    ('k', "ķĸǩḱḳḵƙᴋᵏ κ к"),
    ('K', "ĶǨḰḲḴƘK Κ К Ꮶ"),
    ('l', "ĺļľŀłḷḹḻḽʟˡℓ"),
    ('L', "ĹĻĽĿŁḶḸḺḼℒ Ꮮ"),
    ('m', "ḿṁṃᴍᵐ м"),
    ('M', "ḾṀṂℳ Μ М Ꮇ"),
    ('n', "ñńņňŉŋǹṅṇṉṋɴⁿ ո"),
    ('N', "ÑŃŅŇŊǸṄṆṈṊℕ Ν"),
    ('o', "òóôõöøōŏőơǒǫǭȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợᴏᵒₒℴº οόσ о օ"),
    ('O', "ÒÓÔÕÖØŌŎŐƠǑǪǬȌȎȪȬȮȰṌṎṐṒỌỎỐỒỔỖỘỚỜỞỠỢ ΟΌ О Օ"),
    ('p', "ṕṗƥᴘᵖ ρ р"),
    ('P', "ṔṖƤℙ Ρ Р Ꮲ"),
    ('q', "ɋ ԛ"),
    ('Q', "ℚ Ԛ"),
    ('r', "ŕŗřȑȓṙṛṝṟɍʀʳᵣ г"),
    ('R', "ŔŖŘȐȒṘṚṜṞℛℜℝ Ꭱ"),
    ('s', "śŝşšșṡṣṥṧṩſẛꜱˢ ѕ"),
    ('S', "ŚŜŞŠȘṠṢṤṦṨ Ѕ Տ Ꮪ"),
    ('t', "ţťŧțṫṭṯṱẗƭᴛᵗ τ т"),
    ('T', "ŢŤŦȚṪṬṮṰƬ Τ Т Ꭲ"),
    ('u', "ùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữựᴜᵘᵤ υύ ս"),
    ('U', "ÙÚÛÜŨŪŬŮŰŲƯǓǕǗǙǛȔȖṲṴṶṸṺỤỦỨỪỬỮỰ Ս"),
    ('v', "ṽṿᴠᵛᵥ ν ѵ"),
    ('V', "ṼṾ Ѵ Ꮩ"),
    ('w', "ŵẁẃẅẇẉẘᴡʷ ω ԝ"),
    ('W', "ŴẀẂẄẆẈ Ԝ Ꮃ"),
    ('x', "ẋẍˣₓ χ х"),
    ('X', "ẊẌ Χ Х"),
    ('y', "ýÿŷȳẏẙỳỵỷỹʏʸ γ уў"),
    ('Y', "ÝŶŸȲẎỲỴỶỸ ΥΎ УҮ"),
    ('z', "źżžẑẓẕƶᴢᶻ"),
    ('Z', "ŹŻŽẐẒẔƵℤℨ Ζ Ꮓ"),
];
