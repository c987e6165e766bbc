//! Child processes that cannot outlive the test.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, mpsc};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// A child in a process group of its own, its output (both streams, in order) kept. On drop the
/// group gets SIGTERM, then SIGKILL, and the child is reaped. It is also killed when this process
/// dies without dropping anything.
pub struct Program {
    name: String,
    child: Child,
    group: Pid,
    input: Option<Box<dyn Write + Send>>,
    output: Arc<Output>,
    reaped: Option<ExitStatus>,
}

/// What [`Program::finish`] gives back.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    /// Standard output and standard error as they came.
    pub output: String,
}

#[derive(Default)]
struct Output {
    state: Mutex<OutputState>,
    changed: Condvar,
}

#[derive(Default)]
struct OutputState {
    bytes: Vec<u8>,
    ended: bool,
}

/// Where the program is: in PATH, or in sbin, which the PATH of an ordinary user lacks.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

pub fn have(program: &str) -> bool {
    find(program).is_some()
}

/// A [`Command`] for a program the tests cannot do without.
#[track_caller]
pub fn require(program: &str) -> Command {
    match find(program) {
        Some(path) => Command::new(path),
        None => panic!("{program} is not installed: run tests/setup.sh"),
    }
}

impl Program {
    /// Starts `command` with pipes: see [`Program::write`] for its input.
    #[track_caller]
    pub fn spawn(mut command: Command) -> Self {
        let (reader, writer) = std::io::pipe().expect("no pipe to be had");
        let second = writer.try_clone().expect("no pipe to be had");
        command.stdin(Stdio::piped()).stdout(writer).stderr(second);
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = start(command, &name);
        let input = child.stdin.take().map(|stdin| Box::new(stdin) as Box<dyn Write + Send>);
        Self::watch(name, child, input, reader)
    }

    /// Starts `command` on a terminal, for programs that insist on one.
    #[track_caller]
    pub fn spawn_on_terminal(mut command: Command) -> Self {
        let (ours, theirs) = open_terminal().expect("no terminal to be had");
        let clone = |fd: &OwnedFd| fd.try_clone().expect("out of file descriptors");
        command.stdin(clone(&theirs)).stdout(clone(&theirs)).stderr(theirs);
        let name = command.get_program().to_string_lossy().into_owned();
        let child = start(command, &name);
        let input = Box::new(std::fs::File::from(clone(&ours)));
        Self::watch(name, child, Some(input), std::fs::File::from(ours))
    }

    /// Runs `command` to its end.
    #[track_caller]
    pub fn run(command: Command, timeout: Duration) -> Finished {
        let mut program = Self::spawn(command);
        program.close_input();
        program.finish(timeout)
    }

    fn watch(
        name: String,
        child: Child,
        input: Option<Box<dyn Write + Send>>,
        mut reader: impl Read + Send + 'static,
    ) -> Self {
        let output = Arc::new(Output::default());
        let shared = output.clone();
        // Not joined: a grandchild that left the group could hold the pipe open for ever.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal reports EIO, not the end, when its last user has gone.
            while let Ok(len @ 1..) = reader.read(&mut buffer) {
                shared.lock().bytes.extend_from_slice(&buffer[..len]);
                shared.changed.notify_all();
            }
            shared.lock().ended = true;
            shared.changed.notify_all();
        });
        let group = Pid::from_raw(child.id() as i32);
        Self { name, child, group, input, output, reaped: None }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input or terminal.
    #[track_caller]
    pub fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input is closed");
        let written = input.write_all(bytes).and_then(|()| input.flush());
        written.unwrap_or_else(|error| panic!("{} reads nothing: {error}", self.name));
    }

    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Everything it printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().bytes).into_owned()
    }

    /// Waits until it has printed `text`; gives all output so far. Panics when time is up or it
    /// ended without.
    #[track_caller]
    pub fn wait_for(&self, text: &str, timeout: Duration) -> String {
        self.wait_for_output(timeout, |output| output.contains(text))
            .unwrap_or_else(|output| panic!("{} never said {text:?}:\n{output}", self.name))
    }

    /// Waits for a whole line that `wanted` accepts, and gives it. Panics like `wait_for`.
    #[track_caller]
    pub fn wait_for_line(&self, timeout: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let find = |output: &str| {
            let whole = output.rfind('\n').map_or("", |end| &output[..end]);
            whole.lines().find(|line| wanted(line)).map(str::to_owned)
        };
        let output = self
            .wait_for_output(timeout, |output| find(output).is_some())
            .unwrap_or_else(|output| panic!("{} never said it:\n{output}", self.name));
        find(&output).expect("just found")
    }

    fn wait_for_output(
        &self,
        timeout: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        let deadline = Instant::now() + timeout;
        let mut state = self.output.lock();
        loop {
            let output = String::from_utf8_lossy(&state.bytes).into_owned();
            if wanted(&output) {
                return Ok(output);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return Err(output);
            }
            state = self.output.changed.wait_timeout(state, left).expect("a reader panicked").0;
        }
    }

    pub fn is_running(&self) -> bool {
        self.reaped.is_none() && !self.has_exited()
    }

    /// Sends a signal to the whole group; SIGSTOP and SIGCONT make a BMC that hangs.
    pub fn signal(&self, signal: Signal) {
        if self.reaped.is_none() {
            let _ = killpg(self.group, signal);
        }
    }

    /// Waits for it to end by itself. Panics when it does not.
    #[track_caller]
    pub fn finish(mut self, timeout: Duration) -> Finished {
        if !self.wait_for_exit(timeout) {
            panic!("{} did not end within {timeout:?}:\n{}", self.name, self.output());
        }
        let status = self.reap();
        // The reader may be a few bytes behind; the group is dead, so the end comes soon.
        let state = self.output.lock();
        let ended = self.output.changed.wait_timeout_while(state, GRACE, |state| !state.ended);
        drop(ended);
        Finished { status, output: self.output() }
    }

    /// Ends it and all it started.
    pub fn stop(&mut self) {
        if self.reaped.is_some() {
            return;
        }
        self.signal(Signal::SIGTERM);
        self.signal(Signal::SIGCONT);
        self.wait_for_exit(GRACE);
        self.reap();
    }

    fn wait_for_exit(&self, timeout: Duration) -> bool {
        super::wait_until(timeout, || !self.is_running())
    }

    /// Leaves the zombie, so that the group's number stays ours until `reap`.
    fn has_exited(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        !matches!(waitid(Id::Pid(self.group), flags), Ok(WaitStatus::StillAlive))
    }

    fn reap(&mut self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        let status = self.child.wait().expect("our own child can be waited for");
        self.reaped = Some(status);
        status
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Finished {
    /// The output of a program that must have succeeded.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(self.status.success(), "{}:\n{}", self.status, self.output);
        self.output
    }
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, OutputState> {
        self.state.lock().expect("a reader panicked")
    }
}

/// Starts a child that dies with this process. The kernel ties that to the thread that forks, and
/// a test's thread ends before things it shared, so one lasting thread forks for all.
#[track_caller]
fn start(mut command: Command, name: &str) -> Child {
    type Request = (Command, mpsc::Sender<std::io::Result<Child>>);
    static FORKER: OnceLock<mpsc::Sender<Request>> = OnceLock::new();
    command.process_group(0);
    // SAFETY: prctl is async-signal-safe, and the closure touches nothing else.
    unsafe {
        command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?));
    }
    let forker = FORKER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, reply) in requests {
                let _ = reply.send(command.spawn());
                // `command` goes here, and with it our copies of the child's descriptors.
            }
        });
        sender
    });
    let (reply, answer) = mpsc::channel();
    forker.send((command, reply)).expect("the forker lives as long as the process");
    let spawned = answer.recv().expect("the forker lives as long as the process");
    spawned.unwrap_or_else(|error| panic!("cannot start {name}: {error}; run tests/setup.sh?"))
}

/// Both ends of a pseudo-terminal, closed on exec: another test may fork at any time.
fn open_terminal() -> nix::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let ours = nix::pty::posix_openpt(flags)?;
    nix::pty::grantpt(&ours)?;
    nix::pty::unlockpt(&ours)?;
    let name = nix::pty::ptsname_r(&ours)?;
    let theirs = nix::fcntl::open(name.as_str(), flags, nix::sys::stat::Mode::empty())?;
    Ok((ours.as_fd().try_clone_to_owned().map_err(|_| nix::Error::EMFILE)?, theirs))
}
