//! What the kernel accounts to threads and processes.

use std::fs;
use std::time::Duration;

/// CPU time of this process, ended threads included.
pub fn process_cpu() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time of a thread of this process.
pub fn thread_cpu(thread: i32) -> Duration {
    // How Linux names the clock of one thread: see clock_getcpuclockid(3).
    clock((!thread << 3) | 6)
}

/// CPU time of all threads that live now of another process of ours.
pub fn other_process_cpu(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let ns = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_ascii_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(ns.sum())
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live value of the right type.
    if unsafe { libc::clock_gettime(id, &raw mut time) } != 0 {
        return Duration::ZERO;
    }
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The threads of this process whose name starts like that.
pub fn threads_named(start: &str) -> Vec<i32> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter(|task| {
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            name.starts_with(start)
        })
        .filter_map(|task| task.file_name().to_str()?.parse().ok())
        .collect()
}

/// CPU time of these threads together.
pub fn threads_cpu(threads: &[i32]) -> Duration {
    threads.iter().map(|&thread| thread_cpu(thread)).sum()
}

/// Resident memory of a process in KiB.
pub fn rss_kib(pid: &str) -> u64 {
    field(&format!("/proc/{pid}/status"), "VmRSS:").unwrap_or(0)
}

/// Resident memory of a process in KiB, pages shared with others counted in part.
pub fn pss_kib(pid: &str) -> u64 {
    field(&format!("/proc/{pid}/smaps_rollup"), "Pss:").unwrap_or(0)
}

/// Memory that programs can still have, in KiB.
pub fn available_kib() -> u64 {
    field("/proc/meminfo", "MemAvailable:").unwrap_or(0)
}

/// Threads of a process.
pub fn thread_count(pid: &str) -> u64 {
    field(&format!("/proc/{pid}/status"), "Threads:").unwrap_or(0)
}

/// Open file descriptors of a process.
pub fn fd_count(pid: &str) -> u64 {
    let count = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().count() as u64;
    // Listing a process's own needs one more.
    if pid == "self" { count.saturating_sub(1) } else { count }
}

fn field(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// How many files this process may open.
pub fn fd_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live value of the right type.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 0;
    }
    limit.rlim_cur
}

/// The processors this thread may run on.
pub fn processors() -> Vec<usize> {
    // SAFETY: a processor set is plain data; all zeros is the empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live value of the size stated.
    let got = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    // SAFETY: only reads the set, within its bounds.
    let has = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &set) };
    if got == 0 { (0..libc::CPU_SETSIZE as usize).filter(has).collect() } else { Vec::new() }
}

/// Has this thread, and those it starts from now on, run only there. Nothing happens when the
/// kernel does not allow it.
pub fn run_on(processors: &[usize]) {
    // SAFETY: a processor set is plain data; all zeros is the empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &cpu in processors.iter().filter(|&&cpu| cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: the set is live and the number within its bounds.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the pointer is to a live value of the size stated.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
}

/// The machine in a line: figures mean nothing without it.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim();
    let kernel = kernel.split('-').next().unwrap_or(kernel);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    format!("{cores} cores, {model}, Linux {kernel}, load {load}, {build}")
}
