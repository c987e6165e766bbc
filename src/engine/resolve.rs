//! Names to addresses, on threads of their own: the resolver may block for half a minute.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Condvar, Mutex};

/// Names that may wait for a resolver thread.
const QUEUE_LEN: usize = 65_536;
/// How long a thread without work stays.
const IDLE_TIME: Duration = Duration::from_secs(10);
/// How long the end waits for threads that are about to end.
const JOIN_TIME: Duration = Duration::from_millis(200);

type Answer = Box<dyn FnOnce(Result<Vec<SocketAddr>>) + Send>;
type Lookup = fn(&str, u16) -> std::io::Result<Vec<SocketAddr>>;

struct Job {
    host: String,
    port: u16,
    answer: Answer,
}

/// Resolver threads: one more whenever all are busy, up to a limit, so that names whose servers
/// are silent keep no other name waiting. They end when there is no work for ten seconds.
pub(super) struct Resolvers {
    shared: Arc<Shared>,
}

struct Shared {
    lookup: Lookup,
    threads_max: usize,
    work: Mutex<Work>,
    /// There is a job, or an end.
    wake: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct Work {
    jobs: VecDeque<Job>,
    threads: Vec<JoinHandle<()>>,
    /// Threads that have not ended, and of these those that wait for a job.
    running: usize,
    idle: usize,
    names: usize,
    closed: bool,
}

/// The address of a host that is one, with no look-up.
pub(super) fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port))
}

fn ask_system(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

impl Resolvers {
    pub fn new(threads_max: usize) -> Self {
        Resolvers::with(threads_max, ask_system)
    }

    fn with(threads_max: usize, lookup: Lookup) -> Self {
        let shared = Shared {
            lookup,
            threads_max,
            work: Mutex::new(Work::default()),
            wake: Condvar::new(),
            ended: Condvar::new(),
        };
        Resolvers { shared: Arc::new(shared) }
    }

    /// Looks a name up and gives every address to `answer`, on a resolver thread.
    pub fn resolve(&self, host: &str, port: u16, answer: Answer) -> Result<()> {
        let mut work = self.shared.work.lock();
        if work.jobs.len() >= QUEUE_LEN {
            return Err(Error::with_text(ErrorKind::Busy, "too many names wait for the resolver"));
        }
        if work.idle <= work.jobs.len() && work.running < self.shared.threads_max {
            match self.start(&mut work) {
                Err(error) if work.running == 0 => return Err(error),
                // The threads that there are will come to it.
                _ => {}
            }
        }
        work.jobs.push_back(Job { host: host.to_owned(), port, answer });
        drop(work);
        self.shared.wake.notify_one();
        Ok(())
    }

    fn start(&self, work: &mut Work) -> Result<()> {
        work.threads.retain(|thread| !thread.is_finished());
        let shared = self.shared.clone();
        let name = format!("bmclink-dns-{}", work.names);
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || run(&shared))
            .map_err(|error| Error::io("cannot start a resolver thread", &error))?;
        work.threads.push(thread);
        work.names += 1;
        work.running += 1;
        Ok(())
    }
}

impl Drop for Resolvers {
    /// Ends the threads. One that waits for a name server cannot be woken: it is left behind, and
    /// ends by itself when that answers or the system gives up.
    fn drop(&mut self) {
        let until = Instant::now() + JOIN_TIME;
        let mut work = self.shared.work.lock();
        work.closed = true;
        let unasked = std::mem::take(&mut work.jobs);
        self.shared.wake.notify_all();
        while work.running > 0 && !self.shared.ended.wait_until(&mut work, until).timed_out() {}
        let all_ended = work.running == 0;
        let threads = std::mem::take(&mut work.threads);
        drop(work);
        drop(unasked);
        for thread in threads.into_iter().filter(|thread| all_ended || thread.is_finished()) {
            // What panicked in it has been answered by the drop of its answer.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared) {
    let mut work = shared.work.lock();
    loop {
        if let Some(job) = work.jobs.pop_front() {
            drop(work);
            let addresses = (shared.lookup)(&job.host, job.port);
            (job.answer)(addresses.map_err(|error| {
                let text = format!("no address for {:?}: {error}", job.host);
                Error::with_text(ErrorKind::NameNotFound, text)
            }));
            work = shared.work.lock();
            continue;
        }
        if work.closed {
            break;
        }
        work.idle += 1;
        let idle_too_long =
            shared.wake.wait_until(&mut work, Instant::now() + IDLE_TIME).timed_out();
        work.idle -= 1;
        if idle_too_long && work.jobs.is_empty() {
            break;
        }
    }
    work.running -= 1;
    drop(work);
    shared.ended.notify_all();
}

#[cfg(test)]
mod tests {
    // Not those of `crate::sync`: they are to be statics.
    use std::sync::{Condvar, Mutex};

    use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

    use super::{ErrorKind, Resolvers, Result, SocketAddr, literal};

    type Answers = Receiver<(String, Result<Vec<SocketAddr>>)>;

    fn ask(resolvers: &Resolvers, host: &str, answers: &Sender<(String, Result<Vec<SocketAddr>>)>) {
        let (answers, name) = (answers.clone(), host.to_owned());
        let answer = Box::new(move |result| {
            let _ = answers.send((name, result));
        });
        resolvers.resolve(host, 623, answer).expect("queued");
    }

    #[test]
    fn addresses_need_no_resolver() {
        assert_eq!(literal("127.0.0.5", 623), Some(SocketAddr::from(([127, 0, 0, 5], 623))));
        assert!(literal("::1", 623).is_some_and(|address| address.is_ipv6()));
        assert!(literal("[::1]", 623).is_some());
        assert_eq!(literal("localhost", 623), None);
    }

    #[test]
    fn a_name_without_an_address_is_its_own_error() {
        let (sender, receiver): (_, Answers) = bounded(1);
        let resolvers = Resolvers::new(1);
        ask(&resolvers, "no-such-host.invalid", &sender);
        let (_, result) = receiver.recv().expect("an answer");
        assert_eq!(result.err().map(|error| error.kind()), Some(ErrorKind::NameNotFound));
    }

    /// Names that begin with `slow` are answered when the test lets them be.
    static GATE: Mutex<bool> = Mutex::new(false);
    static OPENED: Condvar = Condvar::new();

    fn gated(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        let mut open = GATE.lock().expect("no panic");
        while host.starts_with("slow") && !*open {
            open = OPENED.wait(open).expect("no panic");
        }
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
    }

    #[test]
    fn slow_names_keep_no_other_waiting_and_threads_are_few() {
        let (sender, receiver): (_, Answers) = unbounded();
        let resolvers = Resolvers::with(4, gated);
        for number in 0..3 {
            ask(&resolvers, &format!("slow{number}"), &sender);
        }
        for number in 0..20 {
            ask(&resolvers, &format!("fast{number}"), &sender);
        }
        for _ in 0..20 {
            let (name, result) = receiver.recv().expect("an answer");
            assert!(name.starts_with("fast") && result.is_ok());
        }
        assert_eq!(resolvers.shared.work.lock().running, 4);
        *GATE.lock().expect("no panic") = true;
        OPENED.notify_all();
        for _ in 0..3 {
            assert!(receiver.recv().expect("an answer").1.is_ok());
        }
        let shared = resolvers.shared.clone();
        drop(resolvers);
        assert_eq!(shared.work.lock().running, 0);
    }
}
