//! Writes the records of one job.

use dunlin::{Model, Observer, Session};
use dunlin_emulator::record::{self, FailedAt, Kind, Sink, Span};

use crate::serve::{Failure, Platform, table_bytes};

pub(crate) struct Writer<'a, P: Platform> {
    pub(crate) platform: &'a mut P,
    pub(crate) job: u32,
    pub(crate) run: u32,
    pub(crate) records: &'a mut u32,
}

impl<P: Platform> Writer<'_, P> {
    /// Begins a record that does not name its job.
    pub(crate) fn plain(&mut self, kind: Kind, payload: usize) -> &mut P::Results {
        *self.records += 1;
        let results = self.platform.results();
        record::begin(results, kind, payload);
        results
    }

    /// Writes that a network is open: bytes of arena, state, tables and of what uses it; how long parsing took; its kernels.
    #[cfg(any(feature = "track", feature = "control"))]
    pub(crate) fn opened(&mut self, sizes: [usize; 4], parsing: Span, isa: &str) {
        let payload = 7 * 4 + isa.len();
        let results = self.plain(Kind::Opened, payload);
        record::words(results, &sizes.map(|bytes| bytes as u32));
        record::words(results, &span_words(parsing));
        results.write(isa.as_bytes());
        record::finish(results, payload);
    }

    /// Writes the last record.
    pub(crate) fn end(self) {
        let peak = self.platform.peak_stack();
        defmt::info!("done: {=u32} records, deepest stack {=u32} B", *self.records, peak);
        let results = self.platform.results();
        record::begin(results, Kind::End, 8);
        record::words(results, &[*self.records, peak]);
    }

    fn begin(&mut self, kind: Kind, payload: usize) -> &mut P::Results {
        let words = [self.job, self.run];
        let results = self.plain(kind, payload);
        record::words(results, &words);
        results
    }

    /// The outputs and costs of a run; `spans` are those of the run and of parsing.
    pub(crate) fn run_record(&mut self, model: &Model, session: &Session, spans: [Span; 2], stack: u32) {
        let isa = session.isa().name();
        let outputs = model.outputs().len();
        let output = |index| session.output_bytes(index).unwrap_or(&[]);
        let bytes: usize = (0..outputs).map(|index| output(index).len()).sum();
        let payload = (15 + outputs) * 4 + isa.len() + bytes;
        let results = self.begin(Kind::Run, payload);
        let memory = [model.arena_bytes(), model.state_bytes(), table_bytes(model)];
        record::words(results, &memory.map(|bytes| bytes as u32));
        record::words(results, &[stack]);
        spans.iter().for_each(|&span| record::words(results, &span_words(span)));
        record::words(results, &[model.nodes().len() as u32, outputs as u32, isa.len() as u32]);
        for index in 0..outputs {
            record::words(results, &[output(index).len() as u32]);
        }
        results.write(isa.as_bytes());
        for index in 0..outputs {
            results.write(output(index));
        }
        record::finish(results, payload);
    }

    /// The cost of every node of the run that `work` does under the observer it is given.
    ///
    /// The record is written while the run goes on: no board needs memory for it.
    pub(crate) fn profile_record(&mut self, nodes: usize, work: impl FnOnce(&mut NodeWriter<'_, P>)) {
        self.begin(Kind::Profile, (2 + 3 * nodes) * 4);
        let mut observer = NodeWriter { platform: &mut *self.platform, start: 0 };
        P::bracket(|| work(&mut observer));
    }

    /// A job that ended early: the reason goes to the log, the stage to the record.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        let job = self.job;
        let stage = match *failure {
            Failure::Parse(error) => {
                defmt::error!("job {=u32}: {}", job, error);
                FailedAt::Parse
            }
            Failure::Session(error) => {
                defmt::error!("job {=u32}: {}", job, error);
                FailedAt::Session
            }
            Failure::Input(error) => {
                defmt::error!("job {=u32}: {}", job, error);
                FailedAt::Input
            }
            #[cfg(feature = "track")]
            Failure::Tracker(error) => {
                defmt::error!("job {=u32}: {}", job, error);
                FailedAt::Tracker
            }
            #[cfg(feature = "control")]
            Failure::Policy(error) => {
                defmt::error!("job {=u32}: {}", job, error);
                FailedAt::Policy
            }
            Failure::InputCount { given, expected } => {
                defmt::error!(
                    "job {=u32}: {=usize} inputs given, the model has {=usize}",
                    job,
                    given,
                    expected
                );
                FailedAt::Input
            }
            Failure::InputLength { input, given, expected } => {
                defmt::error!(
                    "job {=u32}: input {=usize} has {=usize} bytes, the model takes {=usize}",
                    job,
                    input,
                    given,
                    expected
                );
                FailedAt::Input
            }
        };
        let results = self.begin(Kind::Failure, 12);
        record::words(results, &[stage as u32]);
    }
}

pub(crate) fn span_words(span: Span) -> [u32; 3] {
    [span.ticks as u32, (span.ticks >> 32) as u32, span.spins]
}

/// Times each node and writes its words at once. The markers are innermost: what a plugin counts between them is the
/// node alone.
pub(crate) struct NodeWriter<'a, P: Platform> {
    platform: &'a mut P,
    start: u64,
}

impl<P: Platform> Observer for NodeWriter<'_, P> {
    #[inline(always)]
    fn before(&mut self, _node: usize) {
        self.start = self.platform.tick();
        P::node_begins();
    }

    #[inline(always)]
    fn after(&mut self, _node: usize) {
        P::node_ends();
        let span = self.platform.since(self.start);
        record::words(self.platform.results(), &span_words(span));
    }
}
