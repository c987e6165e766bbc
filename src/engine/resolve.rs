//! Names to addresses, on threads of their own: the resolver may block for half a minute.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::error::{Error, ErrorKind, Result};
use crate::sync::Mutex;

/// Names that may wait for a resolver thread.
const QUEUE_LEN: usize = 65_536;

type Answer = Box<dyn FnOnce(Result<Vec<SocketAddr>>) + Send>;

struct Job {
    host: String,
    port: u16,
    answer: Answer,
}

/// Resolver threads, started with the first name.
///
/// They are not joined at the end: one that waits for a name server ends when that gives up.
pub(super) struct Resolvers {
    count: usize,
    jobs: Mutex<Option<Sender<Job>>>,
}

/// The address of a host that is one, with no look-up.
pub(super) fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port))
}

impl Resolvers {
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Resolvers { count, jobs: Mutex::new(None) })
    }

    /// Looks a name up and gives every address to `answer`, on a resolver thread.
    pub fn resolve(&self, host: &str, port: u16, answer: Answer) -> Result<()> {
        let job = Job { host: host.to_owned(), port, answer };
        let mut jobs = self.jobs.lock();
        let sender = match &*jobs {
            Some(sender) => sender,
            None => jobs.insert(self.start()?),
        };
        sender
            .try_send(job)
            .map_err(|_| Error::with_text(ErrorKind::Busy, "too many names wait for the resolver"))
    }

    fn start(&self) -> Result<Sender<Job>> {
        let (sender, receiver) = bounded(QUEUE_LEN);
        for number in 0..self.count {
            let receiver: Receiver<Job> = receiver.clone();
            thread::Builder::new()
                .name(format!("bmclink-dns-{number}"))
                .spawn(move || run(&receiver))
                .map_err(|error| Error::io("cannot start a resolver thread", &error))?;
        }
        Ok(sender)
    }
}

fn run(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        let addresses = (job.host.as_str(), job.port).to_socket_addrs();
        (job.answer)(match addresses {
            Ok(addresses) => Ok(addresses.collect()),
            Err(error) => Err(Error::with_text(
                ErrorKind::NameNotFound,
                format!("no address for {:?}: {error}", job.host),
            )),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_resolver() {
        assert_eq!(literal("127.0.0.5", 623), Some(SocketAddr::from(([127, 0, 0, 5], 623))));
        assert!(literal("::1", 623).is_some_and(|address| address.is_ipv6()));
        assert!(literal("[::1]", 623).is_some());
        assert_eq!(literal("localhost", 623), None);
    }

    #[test]
    fn a_name_without_an_address_is_its_own_error() {
        let (sender, receiver) = bounded(1);
        let resolvers = Resolvers::new(1);
        let answer: Answer = Box::new(move |result| {
            let _ = sender.send(result);
        });
        resolvers.resolve("no-such-host.invalid", 623, answer).expect("queued");
        let result = receiver.recv().expect("an answer");
        assert_eq!(result.err().map(|error| error.kind()), Some(ErrorKind::NameNotFound));
    }
}
