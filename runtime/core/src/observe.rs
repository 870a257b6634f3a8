//! The hook around each node: profilers, counters, watchdogs. Free when unused.

/// Called before and after each node of a run.
pub trait Observer {
    /// Node `node` is about to run.
    fn before(&mut self, node: usize) {
        let _ = node;
    }

    /// Node `node` has run.
    fn after(&mut self, node: usize) {
        let _ = node;
    }
}

/// Observes nothing; the calls vanish when compiled.
impl Observer for () {}
