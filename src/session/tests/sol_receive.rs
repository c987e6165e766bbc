//! What the receiver makes of packets, one by one.

use super::*;

struct Console {
    receiver: Receiver,
    now: Instant,
}

/// What came out: characters as text, events by name.
type Heard = Vec<String>;

impl Console {
    fn new() -> Self {
        Console { receiver: Receiver::new(), now: Instant::now() }
    }

    /// Takes a packet and gives the acknowledges of it: number and count.
    fn take(&mut self, sequence: u8, status_byte: u8, characters: &[u8]) -> Vec<(u8, u8)> {
        let packet = Packet {
            sequence: SolSequence::new(sequence),
            ack_sequence: SolSequence::NONE,
            accepted_character_count: 0,
            operation_status: status_byte,
            characters,
        };
        self.receiver.on_packet(self.now, &packet);
        self.acknowledges()
    }

    fn acknowledges(&mut self) -> Vec<(u8, u8)> {
        let mut acknowledges = Vec::new();
        let mut payload = Vec::new();
        while self.receiver.poll_acknowledge(&mut payload) {
            let packet = Packet::decode(&payload).unwrap();
            assert!(packet.sequence.is_none() && packet.characters.is_empty());
            assert_eq!(packet.operation_status, 0, "never a NACK");
            acknowledges.push((packet.ack_sequence.number(), packet.accepted_character_count));
            payload.clear();
        }
        acknowledges
    }

    fn heard(&mut self) -> Heard {
        let mut heard = Vec::new();
        let mut out = Vec::new();
        while let Some(received) = self.receiver.poll(&mut out) {
            heard.push(match received {
                Received::Characters => String::from_utf8(std::mem::take(&mut out)).unwrap(),
                Received::Event(event) => format!("<{event:?}>"),
            });
        }
        heard
    }
}

#[test]
fn characters_are_acknowledged_and_handed_on() {
    let mut console = Console::new();
    assert_eq!(console.take(1, 0, b"login: "), [(1, 7)]);
    assert_eq!(console.take(2, 0, b"x"), [(2, 1)]);
    assert_eq!(console.heard(), ["login: x"]);
}

#[test]
fn a_repeat_with_more_behind_it_gives_only_what_is_new() {
    let mut console = Console::new();
    console.take(1, 0, b"abc");
    assert_eq!(console.take(1, 0, b"abcdef"), [(1, 6); 2]);
    assert_eq!(console.take(1, 0, b"abcdef"), [(1, 6); 3]);
    assert_eq!(console.take(1, 0, b"abcdefg"), [(1, 7)]);
    console.take(2, 0, b"h");
    assert_eq!(console.heard(), ["abcdefgh"]);
}

#[test]
fn an_older_number_repeated_is_acknowledged_and_not_delivered() {
    let mut console = Console::new();
    for (number, text) in [(1, b"one "), (2, b"two "), (3, b"tri "), (4, b"for ")] {
        console.take(number, 0, text);
    }
    for number in [3, 2, 1] {
        let text: &[u8] = [b"one ", b"two ", b"tri "][usize::from(number) - 1];
        assert_eq!(console.take(number, 0, text), [(number, 4)]);
    }
    assert_eq!(console.take(5, 0, b"five"), [(5, 4)]);
    assert_eq!(console.heard(), ["one two tri for five"]);
    assert_eq!(console.receiver.duplicates, 3);
}

#[test]
fn one_two_one_two_is_not_delivered_twice() {
    let mut console = Console::new();
    for _ in 0..3 {
        console.take(1, 0, b"first ");
        console.take(2, 0, b"second ");
    }
    assert_eq!(console.heard(), ["first second "]);
}

#[test]
fn a_jump_back_with_other_characters_is_new_and_reported() {
    let mut console = Console::new();
    for number in 1..=5 {
        console.take(number, 0, b"old");
    }
    assert_eq!(console.take(3, 0, b"new"), [(3, 3)]);
    assert_eq!(console.take(4, 0, b"text"), [(4, 4)]);
    assert_eq!(console.heard(), ["oldoldoldoldold", "<Gap>", "newtext"]);
}

#[test]
fn a_jump_back_to_where_nothing_was_is_new() {
    let mut console = Console::new();
    for (number, text) in [(1, &b"a"[..]), (2, b""), (3, b"c")] {
        console.take(number, 0, text);
    }
    assert_eq!(console.take(2, 0, b"booting"), [(2, 7)]);
    assert_eq!(console.heard(), ["ac", "<Gap>", "booting"]);
}

#[test]
fn the_last_number_with_other_characters_is_new_and_reported() {
    let mut console = Console::new();
    console.take(1, 0, b"before");
    assert_eq!(console.take(1, 0, b"another"), [(1, 7)]);
    assert_eq!(console.heard(), ["before", "<Gap>", "another"]);
}

#[test]
fn a_jump_ahead_is_delivered_and_reported() {
    let mut console = Console::new();
    console.take(1, 0, b"a");
    assert_eq!(console.take(4, 0, b"d"), [(4, 1)]);
    assert_eq!(console.heard(), ["a", "<Gap>", "d"]);
}

#[test]
fn numbers_wrap_from_15_to_1() {
    let mut console = Console::new();
    for round in 0..100_u32 {
        let number = (round % 15 + 1) as u8;
        assert_eq!(console.take(number, 0, b"x"), [(number, 1)]);
    }
    assert_eq!(console.heard(), ["x".repeat(100)]);
}

#[test]
fn sixteen_jumps_in_ten_seconds_need_another_activation() {
    let mut console = Console::new();
    let mut number = 1;
    let mut jump = |console: &mut Console| {
        number = (number + 2) % 15 + 1;
        console.now += Duration::from_millis(100);
        console.take(number, 0, b"x");
        console.receiver.take_resync()
    };
    assert!((0..16).all(|_| !jump(&mut console)));
    assert!(jump(&mut console));
}

#[test]
fn characters_without_a_number_cannot_be_acknowledged_and_are_not_taken() {
    let mut console = Console::new();
    assert_eq!(console.take(0, 0, b"stray"), []);
    assert!(console.heard().is_empty());
}

#[test]
fn every_number_of_characters_is_acknowledged_in_one_byte() {
    let mut console = Console::new();
    let text = [b'x'; 256];
    let mut sequence = SolSequence::NONE;
    for len in 0..=256 {
        sequence = sequence.next();
        let count = len as u8;
        assert_eq!(
            console.take(sequence.number(), 0, &text[..len]),
            [(sequence.number(), count)],
            "256 cannot be said"
        );
    }
}

/// The status bits 2 to 6, in all 32 combinations, on packets with and without characters.
#[test]
fn all_status_bits_mean_what_they_should() {
    for bits in 0..32_u8 {
        let status_byte = bits << 2;
        for (sequence, text) in [(1, "text"), (1, ""), (0, "")] {
            let mut console = Console::new();
            let acknowledges = console.take(sequence, status_byte, text.as_bytes());
            let has = |bit: u8| status_byte & bit != 0;
            let mut expected = Heard::new();
            if has(status::CHARACTER_TRANSFER_UNAVAILABLE) {
                expected.push("<Unavailable(true)>".into());
            }
            if has(status::TRANSMIT_OVERRUN) {
                expected.push("<Overrun>".into());
            }
            if !text.is_empty() {
                expected.push(text.into());
            }
            if has(status::BREAK_DETECTED) {
                expected.push("<BreakDetected>".into());
            }
            assert_eq!(console.heard(), expected, "{status_byte:#04x} {sequence} {text:?}");
            let owed: &[(u8, u8)] = if sequence == 0 { &[] } else { &[(1, text.len() as u8)] };
            assert_eq!(acknowledges, owed, "{status_byte:#04x}");
        }
    }
}

#[test]
fn a_repeat_repeats_no_event() {
    let events = status::TRANSMIT_OVERRUN | status::BREAK_DETECTED;
    for text in [&b"text"[..], b""] {
        let mut console = Console::new();
        for _ in 0..4 {
            console.take(1, events, text);
        }
        let heard = console.heard();
        let count = |name: &str| heard.iter().filter(|heard| *heard == name).count();
        assert_eq!((count("<Overrun>"), count("<BreakDetected>")), (1, 1), "{heard:?}");
    }
}

#[test]
fn an_overrun_that_only_a_repeat_tells_is_reported_before_what_is_new() {
    let mut console = Console::new();
    console.take(1, 0, b"abc");
    console.take(1, status::TRANSMIT_OVERRUN, b"abcdef");
    assert_eq!(console.heard(), ["abc", "<Overrun>", "def"]);
}

#[test]
fn the_host_going_and_coming_back_are_one_event_each() {
    let mut console = Console::new();
    for (number, gone) in [(1, false), (2, true), (3, true), (4, false), (5, false)] {
        let bit = if gone { status::CHARACTER_TRANSFER_UNAVAILABLE } else { 0 };
        console.take(number, bit, b".");
    }
    assert_eq!(console.heard(), [".", "<Unavailable(true)>", "..", "<Unavailable(false)>", ".."]);
}

#[test]
fn text_given_up_and_sent_under_the_next_number_is_taken_once() {
    let mut console = Console::new();
    for _ in 0..9 {
        console.take(1, 0, b"the same text");
    }
    assert_eq!(console.take(2, 0, b"the same text and more"), [(2, 22)]);
    assert_eq!(console.take(3, 0, b"!"), [(3, 1)]);
    assert_eq!(console.heard(), ["the same text and more!"]);
}

#[test]
fn a_late_acknowledge_answered_without_a_header_shows_what_was_given_up() {
    let mut console = Console::new();
    console.take(1, 0, b"prompt> ");
    console.receiver.on_headless();
    console.take(2, 0, b"prompt> ls");
    assert_eq!(console.heard(), ["prompt> ls"]);
}

#[test]
fn equal_text_is_taken_twice_when_nothing_was_given_up() {
    let mut console = Console::new();
    for number in 1..=9 {
        console.take(number, 0, b"y\n");
        console.take(number, 0, b"y\n");
        // Answers the second acknowledge.
        console.receiver.on_headless();
    }
    assert_eq!(console.heard(), ["y\n".repeat(9)]);
    // One that lost text says so.
    for _ in 0..9 {
        console.take(10, 0, b"y\n");
    }
    console.take(11, status::TRANSMIT_OVERRUN, b"y\n");
    assert_eq!(console.heard(), ["y\n", "<Overrun>", "y\n"]);
}

#[test]
fn a_hundred_mebibytes_need_no_memory() {
    let mut console = Console::new();
    let text = [b'x'; 255];
    let mut sequence = SolSequence::NONE;
    let mut out = Vec::new();
    let mut payload = Vec::new();
    let mut received = 0;
    while received < 100 << 20 {
        sequence = sequence.next();
        let packet = Packet {
            sequence,
            ack_sequence: SolSequence::NONE,
            accepted_character_count: 0,
            operation_status: 0,
            characters: &text,
        };
        console.receiver.on_packet(console.now, &packet);
        while console.receiver.poll_acknowledge(&mut payload) {
            payload.clear();
        }
        while console.receiver.poll(&mut out).is_some() {
            received += out.len();
            out.clear();
        }
    }
    let receiver = &console.receiver;
    let held = receiver.characters.capacity()
        + receiver.marks.capacity() * size_of::<(usize, SolEvent)>()
        + receiver.acknowledges.capacity() * size_of::<Acknowledge>();
    assert!(held <= 1024, "{held} bytes");
}
