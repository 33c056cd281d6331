use super::*;

fn lines(chunk: &Chunk) -> Vec<&[u8]> {
    chunk.records().iter().collect()
}

#[test]
fn records_come_out_whole_and_in_order() {
    let mut buffer = Buffer::new(8);
    for record in ["one", "three", "a record longer than a chunk", "x"] {
        buffer.push(record.as_bytes());
    }
    let mut out = Vec::new();
    while let Some(chunk) = buffer.pop() {
        out.extend(lines(&chunk).into_iter().map(<[u8]>::to_vec));
        buffer.recycle(chunk);
    }
    assert_eq!(
        out,
        ["one", "three", "a record longer than a chunk", "x"].map(|r| r.as_bytes().to_vec())
    );
    assert!(buffer.is_empty());
}

#[test]
fn removing_front_records_keeps_the_rest_whole() {
    let mut chunk = Chunk::with_capacity(64);
    for record in ["one", "two", "three"] {
        chunk.bytes.extend(record.as_bytes());
        chunk.ends.push(chunk.bytes.len());
    }
    chunk.remove_front(2);
    assert_eq!(lines(&chunk), [b"three"]);
}

#[test]
fn burst_releases_its_memory() {
    let mut buffer = Buffer::new(32 * MAX_CHUNK_LEN);
    (0..32 * MAX_CHUNK_LEN / 1024).for_each(|_| buffer.push(&[b'x'; 1024]));
    let mut popped = Vec::new();
    while let Some(chunk) = buffer.pop() {
        popped.push(chunk);
    }
    assert_eq!(popped.len(), 32);
    popped.into_iter().for_each(|chunk| buffer.recycle(chunk));
    // Chunks for an eighth of the capacity are kept.
    assert_eq!(buffer.take_surplus().len(), 28);
    assert_eq!(buffer.take_surplus().len(), 0);
    assert_eq!(buffer.free_chunks.len(), 4);
}
