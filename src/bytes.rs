//! Moving bytes from one buffer to another.

use std::collections::VecDeque;

/// Moves the first `len` bytes of a queue, which has so many, to the end of `out`. Whole slices at
/// a time: an iterator over a queue goes byte by byte.
pub(crate) fn take_front(queue: &mut VecDeque<u8>, len: usize, out: &mut Vec<u8>) {
    let (first, second) = queue.as_slices();
    let in_first = len.min(first.len());
    out.extend_from_slice(&first[..in_first]);
    out.extend_from_slice(&second[..len - in_first]);
    queue.drain(..len);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_out_once_and_in_order_wherever_the_queue_wraps() {
        let (mut queue, mut out) = (VecDeque::with_capacity(16), Vec::new());
        let mut next = 0u8;
        for round in 0..200usize {
            let room = queue.capacity() - queue.len();
            for _ in 0..room.min(1 + round % 7) {
                queue.push_back(next);
                next = next.wrapping_add(1);
            }
            let len = queue.len().min(round % 5);
            take_front(&mut queue, len, &mut out);
        }
        let expected: Vec<u8> = (0..out.len()).map(|number| number as u8).collect();
        assert!(out.len() > 300);
        assert_eq!(out, expected);
    }
}
