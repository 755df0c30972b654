//! Working in the background: a thread that computes gives way to the threads that answer.

/// Lowers the priority of the calling thread, as far as the system knows priorities of threads.
///
/// On Linux niceness belongs to the thread. Elsewhere it belongs to the process, whose answering threads must not suffer, so
/// nothing is done there: computing threads work in short turns anyway.
pub fn lower() {
    #[cfg(target_os = "linux")]
    {
        /// Between the default, 0, and the lowest, 19, which would starve on a busy machine.
        const NICE: i32 = 10;
        // It is a courtesy: without it everything works too.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
    }
}
