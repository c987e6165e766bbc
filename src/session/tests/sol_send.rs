//! What the sender makes of acknowledges, one by one.

use super::*;

const MS: Duration = Duration::from_millis(1);

struct Console {
    sender: Sender,
    now: Instant,
    events: VecDeque<SolEvent>,
}

/// A packet that was sent.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    sequence: u8,
    operation: u8,
    text: String,
}

fn sent(sequence: u8, text: &str) -> Option<Sent> {
    Some(Sent { sequence, operation: 0, text: text.into() })
}

fn sent_break(sequence: u8) -> Option<Sent> {
    Some(Sent { sequence, operation: operation::GENERATE_BREAK, text: String::new() })
}

impl Console {
    fn new(config: &SolConfig, learned: &Learned) -> Self {
        let now = Instant::now();
        let mut sender = Sender::new(config, learned, now);
        sender.activated(now, 60);
        Console { sender, now, events: VecDeque::new() }
    }

    /// With a BMC that is known to acknowledge repeats; packet 1 was the sync.
    fn synced() -> Self {
        let learned = Learned { duplicates: Duplicates::Acknowledged, ..Learned::default() };
        let mut console = Console::new(&SolConfig::default(), &learned);
        console.sync();
        console
    }

    fn sync(&mut self) {
        self.write("\r");
        assert_eq!(self.poll(), sent(1, ""));
        self.answer(1, 0, 0);
        assert_eq!(self.poll(), sent(2, "\r"));
        self.answer(2, 1, 0);
        assert_eq!(self.poll(), None);
    }

    fn write(&mut self, text: &str) {
        assert_eq!(self.sender.write(self.now, text.as_bytes()), text.len());
    }

    fn poll(&mut self) -> Option<Sent> {
        let mut payload = Vec::new();
        if !self.sender.poll(self.now, &mut payload, &mut self.events) {
            return None;
        }
        let packet = Packet::decode(&payload).unwrap();
        assert!(packet.ack_sequence.is_none() && packet.accepted_character_count == 0);
        Some(Sent {
            sequence: packet.sequence.number(),
            operation: packet.operation_status,
            text: String::from_utf8(packet.characters.to_vec()).unwrap(),
        })
    }

    /// Goes to the next moment at which something is sent, and gives what.
    fn wait(&mut self) -> Option<Sent> {
        for _ in 0..1000 {
            if let Some(sent) = self.poll() {
                return Some(sent);
            }
            let next = self.sender.next_timeout(self.now)?;
            if self.sender.owner_check_due {
                return None;
            }
            assert!(next > self.now, "spins");
            self.now = next;
        }
        panic!("never comes to rest");
    }

    /// The packets sent within `time`, when nothing is answered.
    fn count(&mut self, time: Duration) -> usize {
        let end = self.now + time;
        let mut count = 0;
        loop {
            while self.poll().is_some() {
                count += 1;
                assert!(count < 10_000, "spins");
            }
            match self.sender.next_timeout(self.now) {
                Some(next) if next <= end && !self.sender.owner_check_due => {
                    assert!(next > self.now, "spins");
                    self.now = next;
                }
                _ => {
                    self.now = end;
                    return count;
                }
            }
        }
    }

    /// The BMC answers packet `ack` 10 ms later.
    fn answer(&mut self, ack: u8, count: u8, status_byte: u8) {
        self.now += 10 * MS;
        self.take(0, ack, count, status_byte);
    }

    fn take(&mut self, sequence: u8, ack: u8, count: u8, status_byte: u8) {
        let packet = Packet {
            sequence: SolSequence::new(sequence),
            ack_sequence: SolSequence::new(ack),
            accepted_character_count: count,
            operation_status: status_byte,
            characters: if sequence == 0 { b"" } else { b"output" },
        };
        self.sender.on_packet(self.now, &packet, &mut self.events);
    }

    fn heard(&mut self) -> Vec<SolEvent> {
        self.events.drain(..).collect()
    }
}

/// All 32 combinations of the status bits, for each accepted count of a packet of 5, in an
/// acknowledge alone and in one with output.
#[test]
fn the_accepted_count_is_honoured_whatever_the_status_bits() {
    for bits in 0..32_u8 {
        for count in 0..=6 {
            for with_output in [0, 1] {
                let status_byte = bits << 2;
                let nack = status_byte & status::NACK != 0;
                let mut console = Console::synced();
                console.write("abcde");
                assert_eq!(console.poll(), sent(3, "abcde"));
                console.now += 10 * MS;
                console.take(with_output, 3, count, status_byte);
                let what = format!("{status_byte:#04x}, {count} accepted");
                let before = console.now;
                let next = console.wait();
                let waited = console.now - before;
                let rest = &"abcde"[usize::from(count).min(5)..];
                match count {
                    5.. => assert_eq!(next, None, "{what}"),
                    // It is not clear what that says: the same again.
                    0 if !nack => assert_eq!(next, sent(3, rest), "{what}"),
                    _ => assert_eq!(next, sent(4, rest), "{what}"),
                }
                if next.is_some() {
                    assert_eq!(waited >= 1000 * MS, nack, "{what}: paused for {waited:?}");
                }
            }
        }
    }
}

#[test]
fn the_rest_of_a_partial_accept_goes_with_what_was_typed_since() {
    let mut console = Console::synced();
    console.write("abc");
    assert_eq!(console.poll(), sent(3, "abc"));
    console.write("def");
    console.answer(3, 1, 0);
    assert_eq!(console.poll(), sent(4, "bcdef"));
    console.answer(4, 5, 0);
    assert_eq!(console.wait(), None);
    assert_eq!(console.sender.pending(), 0);
}

#[test]
fn a_nack_pauses_until_the_resume() {
    let mut console = Console::synced();
    console.write("abcde");
    console.poll();
    console.answer(3, 2, status::NACK);
    assert_eq!(console.poll(), None);
    console.write("fg");
    assert_eq!(console.poll(), None);
    console.answer(3, 0, 0);
    assert_eq!(console.poll(), sent(4, "cdefg"));
}

#[test]
fn a_bmc_that_always_refuses_hears_once_a_second() {
    let mut console = Console::synced();
    console.write("abcde");
    let mut number = 3;
    let start = console.now;
    let mut packets = 0;
    while console.now < start + 60_000 * MS {
        assert_eq!(console.wait(), sent(number, "abcde"));
        console.answer(number, 0, status::NACK);
        number = number % 15 + 1;
        packets += 1;
    }
    assert!((50..=61).contains(&packets), "{packets} in a minute");
    assert_eq!(console.heard(), []);
}

#[test]
fn a_bmc_that_accepts_nothing_without_a_nack_is_not_pestered() {
    let mut console = Console::synced();
    console.write("abcde");
    let start = console.now;
    let mut packets = 0;
    while console.now < start + 60_000 * MS {
        let Some(Sent { sequence, text, .. }) = console.wait() else { panic!("given up") };
        assert_eq!(text, "abcde");
        console.answer(sequence, 0, 0);
        packets += 1;
    }
    assert!(packets <= 140, "{packets} in a minute");
}

#[test]
fn a_refusal_that_names_no_packet_means_the_last_one() {
    let mut console = Console::synced();
    console.write("abcde");
    console.poll();
    console.answer(0, 0, status::NACK);
    assert_eq!(console.wait(), sent(4, "abcde"));
}

#[test]
fn a_refused_break_is_sent_again() {
    let mut console = Console::synced();
    console.sender.send_break(7);
    assert_eq!(console.poll(), sent_break(3));
    console.write("x");
    console.answer(3, 0, status::NACK);
    assert_eq!(console.heard(), []);
    assert_eq!(console.wait(), sent_break(4), "before what was typed behind it");
    console.answer(4, 0, 0);
    assert_eq!(console.heard(), [SolEvent::BreakDone { token: 7, acknowledged: true }]);
    assert_eq!(console.poll(), sent(5, "x"));
}

#[test]
fn an_unacknowledged_break_is_repeated_as_it_was() {
    let mut console = Console::synced();
    console.sender.send_break(7);
    for _ in 0..4 {
        assert_eq!(console.wait(), sent_break(3));
    }
    console.answer(3, 0, 0);
    assert_eq!(console.heard(), [SolEvent::BreakDone { token: 7, acknowledged: true }]);
}

#[test]
fn a_break_does_not_wait_for_input_to_accumulate() {
    let learned = Learned { duplicates: Duplicates::Acknowledged, ..Learned::default() };
    let config = SolConfig { accumulate: 100 * MS, ..SolConfig::default() };
    let mut console = Console::new(&config, &learned);
    console.write("ab");
    let before = console.now;
    assert_eq!(console.wait(), sent(1, ""));
    assert_eq!(console.now, before + 100 * MS);
    console.answer(1, 0, 0);
    console.sender.send_break(1);
    assert_eq!(console.poll(), sent(2, "ab"));
    console.answer(2, 2, 0);
    assert_eq!(console.poll(), sent_break(3));
}

#[test]
fn stale_and_foreign_acknowledges_change_nothing() {
    let mut console = Console::synced();
    console.write("abcde");
    console.poll();
    for ack in [0, 1, 2, 4, 5, 15] {
        console.take(0, ack, 5, 0);
        console.take(9, ack, 5, 0);
    }
    assert_eq!(console.poll(), None);
    assert_eq!(console.sender.pending(), 5);
    console.answer(3, 5, 0);
    assert_eq!(console.sender.pending(), 0);
}

#[test]
fn a_count_above_what_was_sent_is_all_of_it_except_in_the_first_packet() {
    // Where empty packets are not acknowledged there is no sync, and `ipmi_sim` may take
    // packet 1 for a repeat of somebody else's.
    let learned = Learned { acknowledges_empty: Some(false), ..Learned::default() };
    let mut console = Console::new(&SolConfig::default(), &learned);
    console.write("hello");
    assert_eq!(console.poll(), sent(1, "hello"));
    console.answer(1, 6, 0);
    assert_eq!(console.wait(), sent(2, "hello"));
    console.answer(2, 6, 0);
    for number in (3..=15).chain([1, 2]) {
        console.write("x");
        assert_eq!(console.wait(), sent(number, "x"));
        console.answer(number, 9, 0);
    }
    assert_eq!(console.wait(), None);
}

#[test]
fn packets_are_repeated_with_growing_waits_and_never_changed() {
    let mut console = Console::synced();
    console.write("abc");
    assert_eq!(console.poll(), sent(3, "abc"));
    console.write("def");
    let mut last = console.now;
    let mut waits = Vec::new();
    for _ in 0..8 {
        assert_eq!(console.wait(), sent(3, "abc"));
        waits.push(console.now - last);
        last = console.now;
    }
    assert_eq!(waits[..5], [50 * MS, 100 * MS, 200 * MS, 400 * MS, 800 * MS]);
    assert_eq!(waits[5..], [1000 * MS; 3]);
    console.answer(3, 3, 0);
    assert_eq!(console.wait(), sent(4, "def"));
}

#[test]
fn a_mute_bmc_is_asked_about_before_anything_is_given_up() {
    for duplicates in [Duplicates::Unknown, Duplicates::Acknowledged, Duplicates::Silent] {
        let learned = Learned { duplicates, ..Learned::default() };
        let mut console = Console::new(&SolConfig::default(), &learned);
        console.sender.synced = true;
        console.write("abcde");
        // No answer at all is an outage: nothing is given up, however long it takes.
        for _ in 0..20 {
            assert!(console.count(60_000 * MS) < 300);
            assert!(console.sender.take_owner_check(), "{duplicates:?}");
            assert!(!console.sender.on_owner_check(console.now, false));
        }
        // The first answer makes room for some more, the second one ends it.
        console.count(60_000 * MS);
        assert!(console.sender.take_owner_check());
        assert!(!console.sender.on_owner_check(console.now, true));
        assert!(console.count(60_000 * MS) > 0);
        assert!(console.sender.take_owner_check());
        assert!(console.sender.on_owner_check(console.now, true));
        assert_eq!(console.sender.abandon_in_flight(&mut console.events), 5);
    }
}

#[test]
fn probes_follow_only_where_repeats_are_not_acknowledged() {
    let mut console = Console::synced();
    console.write("abcde");
    console.poll();
    let mut packets = Vec::new();
    for _ in 0..2 {
        while let Some(packet) = console.wait() {
            packets.push(packet.sequence);
        }
        assert!(console.sender.take_owner_check());
        console.sender.on_owner_check(console.now, true);
    }
    assert!(packets.len() > 20, "{packets:?}");
    assert!(packets.iter().all(|number| *number == 3), "{packets:?}");
}

#[test]
fn an_answered_probe_tells_that_silence_was_a_lost_acknowledge() {
    let learned = Learned { duplicates: Duplicates::Silent, ..Learned::default() };
    let mut console = Console::new(&SolConfig::default(), &learned);
    console.write("abc");
    assert_eq!(console.poll(), sent(1, ""));
    console.answer(1, 0, 0);
    assert_eq!(console.poll(), sent(2, "abc"));
    let probe = std::iter::repeat_with(|| console.wait()).find(|packet| {
        let packet = packet.as_ref().expect("a repeat or a probe");
        packet.sequence == 3
    });
    assert_eq!(probe.flatten(), sent(3, ""));
    console.answer(3, 0, 0);
    assert_eq!(console.heard(), [SolEvent::AcknowledgeLost]);
    assert_eq!(console.sender.pending(), 0);
    console.write("d");
    assert_eq!(console.wait(), sent(4, "d"));
}

#[test]
fn the_next_packet_does_not_overtake_a_repeat() {
    let mut console = Console::synced();
    console.write("abc");
    assert_eq!(console.poll(), sent(3, "abc"));
    assert_eq!(console.wait(), sent(3, "abc"));
    // Too soon to be the answer to the repeat.
    let repeated = console.now;
    console.now += MS;
    console.take(0, 3, 3, 0);
    console.write("d");
    assert_eq!(console.wait(), sent(4, "d"));
    assert!(console.now >= repeated + 10 * MS);
}

#[test]
fn quirk_solackzero_takes_a_count_of_0_for_all() {
    let learned = Learned { duplicates: Duplicates::Acknowledged, ..Learned::default() };
    let config = SolConfig { ack_zero_means_all: true, ..SolConfig::default() };
    let mut console = Console::new(&config, &learned);
    console.sync();
    console.write("abcde");
    console.poll();
    assert_eq!(console.wait(), sent(3, "abcde"));
    console.answer(3, 0, 0);
    assert_eq!(console.wait(), None);
    console.write("f");
    console.poll();
    console.answer(4, 0, status::NACK);
    assert_eq!(console.wait(), sent(5, "f"), "a NACK is one all the same");
}

#[test]
fn keepalives_come_when_nothing_else_does() {
    for (nul, text) in [(false, ""), (true, "\0")] {
        let learned = Learned { duplicates: Duplicates::Acknowledged, ..Learned::default() };
        let config =
            SolConfig { keepalive: Some(30_000 * MS), keepalive_nul: nul, ..SolConfig::default() };
        let mut console = Console::new(&config, &learned);
        console.sync();
        let mut last = console.now;
        for number in 3..=15 {
            assert_eq!(console.wait(), sent(number, text));
            assert!(console.now - last >= 29_900 * MS, "{:?}", console.now - last);
            last = console.now;
            console.answer(number, text.len() as u8, 0);
        }
    }
}

#[test]
fn a_host_that_stays_away_gets_no_stale_input() {
    let gone = status::NACK | status::CHARACTER_TRANSFER_UNAVAILABLE;
    let mut console = Console::synced();
    console.write("abcde");
    let start = console.now;
    while console.heard().is_empty() {
        let Some(Sent { sequence, .. }) = console.wait() else { break };
        console.answer(sequence, 0, gone);
        assert!(console.now < start + 20_000 * MS);
    }
    assert!(console.now >= start + 5000 * MS);
    assert_eq!(console.sender.pending(), 0);
    // It is back: what is typed now goes out.
    console.take(0, 0, 0, 0);
    console.write("new");
    assert_eq!(console.wait().map(|packet| packet.text), Some("new".into()));
}
