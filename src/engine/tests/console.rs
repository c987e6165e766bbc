use super::super::wait::waiter;
use super::super::watch::Place;
use super::*;

fn connected() -> ConsoleShared {
    let config = ConsoleConfig { input_len: 4, ..ConsoleConfig::default() };
    let console = ConsoleShared::new(config);
    console.set_connecting();
    console.set_connected(60, None);
    console
}

#[test]
fn input_is_bounded_and_says_how_much_was_taken() {
    let console = connected();
    let now = Some(Instant::now());
    assert_eq!(console.write(b"abcdef", false, now), Ok((4, true)));
    assert_eq!(console.write(b"ef", false, now).map_err(|e| e.kind()), Err(ErrorKind::TimedOut));
    let mut out = Vec::new();
    assert!(matches!(console.take_input(3, &mut out), Input::Bytes));
    assert_eq!(out, b"abc");
    assert_eq!(console.write(b"ef", false, now), Ok((2, false)));
}

#[test]
fn what_the_session_took_is_pending_until_it_is_acknowledged() {
    let console = connected();
    console.write(b"abc", false, None).expect("room");
    console.take_input(3, &mut Vec::new());
    assert_eq!(console.stats().pending, 3);
    let drained = console.drain(Some(Instant::now())).map_err(|e| e.kind());
    assert_eq!(drained, Err(ErrorKind::TimedOut));
    console.set_in_session(0);
    assert_eq!(console.drain(None), Ok(()));
}

#[test]
fn a_break_comes_out_where_it_went_in() {
    let console = connected();
    let (_, done) = waiter();
    console.write(b"ab", false, None).expect("room");
    console.push_break(done).expect("connected");
    console.write(b"cd", false, None).expect("room");
    let mut out = Vec::new();
    assert!(matches!(console.take_input(10, &mut out), Input::Bytes));
    assert!(matches!(console.take_input(10, &mut out), Input::Break(_)));
    assert_eq!(out, b"ab");
    assert!(matches!(console.take_input(10, &mut out), Input::Bytes));
    assert_eq!(out, b"abcd");
}

#[test]
fn nothing_is_taken_while_not_connected_and_a_loss_is_counted() {
    let console = connected();
    console.write(b"abc", false, None).expect("room");
    console.set_unconnected(Error::new(ErrorKind::Lost));
    assert_eq!(console.stats().input_lost, 3);
    let refused = console.write(b"x", false, None).map_err(|e| e.kind());
    assert_eq!(refused, Err(ErrorKind::Lost));
    let mut cursor = console.cursor(true);
    let place = Place::new(cursor.offset());
    let read = console.read(&place, &mut cursor, &mut [0; 8], None, None);
    assert_eq!(read.map_err(|e| e.kind()), Err(ErrorKind::Lost));
}

#[test]
fn a_break_the_session_took_is_pending_too() {
    let console = connected();
    let drained = |console: &ConsoleShared| console.drain(Some(Instant::now())).is_ok();
    let (_, done) = waiter();
    console.push_break(done).expect("connected");
    let on_its_way = console.take_input(10, &mut Vec::new());
    assert!(matches!(on_its_way, Input::Break(_)) && !drained(&console));
    console.set_in_session(0);
    assert!(drained(&console));
}

/// The reason is the one that readers know, but they waited for the next try.
#[test]
fn who_waits_for_a_next_try_is_told_that_there_is_none() {
    let console = connected();
    let lost = || Error::new(ErrorKind::Lost);
    console.set_unconnected_until(lost(), Instant::now().checked_add(Duration::from_secs(60)));
    let (told, tells) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut cursor = console.cursor(true);
            let place = Place::new(cursor.offset());
            let limit = Instant::now().checked_add(Duration::from_secs(60));
            let read = console.read(&place, &mut cursor, &mut [0; 8], limit, None);
            told.send(read.map_err(|error| error.kind())).expect("the test waits for it");
        });
        // Until it waits, or later: it is told in any case.
        std::thread::sleep(Duration::from_millis(50));
        console.set_unconnected(lost());
        assert_eq!(tells.recv_timeout(Duration::from_secs(30)), Ok(Err(ErrorKind::Lost)));
    });
}
