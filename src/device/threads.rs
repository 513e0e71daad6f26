//! A share of the processor's threads, for work that runs beside other work.

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Stack of a thread that trains: automatic differentiation walks deep graphs.
pub const STACK_BYTES: usize = 64 << 20;

/// So many threads of their own, at least one. Threads that serve several at once cost more in waiting than they give.
///
/// # Panics
/// If the system has no thread to give.
pub fn own_threads(threads: usize) -> ThreadPool {
    let pool =
        ThreadPoolBuilder::new().num_threads(threads.max(1)).stack_size(STACK_BYTES).thread_name(|thread| format!("worker-{thread}"));
    pool.build().expect("the system has a thread to give")
}
