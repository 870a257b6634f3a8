//! The counting: one region at a time, in buckets, written when a bucket ends.

use std::cell::UnsafeCell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::Marker;
use crate::table::{Block, Counts, Table};

/// Stands for the block before a marker, or none.
const NONE: u32 = u32::MAX;

pub(crate) struct Meter {
    aarch64: bool,
    table: Mutex<Table>,
    /// 0, or 1 more than the index of the processor whose region is open.
    owner: AtomicU64,
    /// Regions that another processor began meanwhile.
    overlaps: AtomicU64,
    open: UnsafeCell<Open>,
}

// SAFETY: `open` is touched only by the processor that `owner` names, which takes it by an atomic exchange with
// acquire and gives it up with release.
unsafe impl Sync for Meter {}
// SAFETY: nothing in it is bound to a thread.
unsafe impl Send for Meter {}

/// The open region.
struct Open {
    file: BufWriter<File>,
    region: u64,
    node: Option<u64>,
    nodes: u64,
    instructions: u64,
    /// The block that was entered last.
    last: u32,
    /// Blocks entered in this bucket.
    touched: Vec<&'static Block>,
}

impl Meter {
    pub(crate) fn new(path: &str, target: &str) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        writeln!(file, "dunlin-cyclemeter 1 {target}")?;
        // A program without a region leaves a file that says so.
        file.flush()?;
        let open =
            Open { file, region: 0, node: None, nodes: 0, instructions: 0, last: NONE, touched: Vec::new() };
        Ok(Self {
            aarch64: target == "aarch64",
            table: Mutex::default(),
            owner: AtomicU64::new(0),
            overlaps: AtomicU64::new(0),
            open: UnsafeCell::new(open),
        })
    }

    pub(crate) fn marker(&self, bytes: &[u8]) -> Option<Marker> {
        Marker::find(self.aarch64, bytes)
    }

    /// The bytes of one instruction. Near the end of a page QEMU looks at the next one and adds what it reads.
    pub(crate) fn trimmed(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let long = self.aarch64 || bytes.get(1).is_some_and(|&high| high >= 0xe8);
        bytes.truncate(if long { 4 } else { 2 });
        bytes
    }

    pub(crate) fn block(&self, address: u64, instructions: &[&[u8]]) -> &'static Block {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).block(address, instructions)
    }

    /// The open region, if it is that of processor `cpu`, whose thread calls this.
    #[expect(
        clippy::mut_from_ref,
        reason = "each processor's thread has at most one reference, and only the owner one"
    )]
    fn open_of(&self, cpu: u32) -> Option<&mut Open> {
        if self.owner.load(Ordering::Relaxed) != u64::from(cpu) + 1 {
            return None;
        }
        // SAFETY: the owner's thread is this one, and no callback holds the reference when it returns.
        Some(unsafe { &mut *self.open.get() })
    }

    /// Processor `cpu` is about to execute `block`.
    #[inline]
    pub(crate) fn entered(&self, cpu: u32, block: &'static Block) {
        if let Some(open) = self.open_of(cpu) {
            open.enter(block);
        }
    }

    /// Processor `cpu` is about to execute the marker at `place`.
    pub(crate) fn marked(&self, cpu: u32, marker: Marker, place: &'static Block) {
        if marker == Marker::Begin {
            let free =
                self.owner.compare_exchange(0, u64::from(cpu) + 1, Ordering::Acquire, Ordering::Relaxed);
            if free.is_err() {
                self.overlaps.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        let Some(open) = self.open_of(cpu) else { return };
        let done = match marker {
            Marker::Begin => open.begin(),
            Marker::NodeBegin => open.switch(place, true),
            Marker::NodeEnd => open.switch(place, false),
            Marker::End => open.end(place, self.overlaps.swap(0, Ordering::Relaxed)),
        };
        if let Err(error) = done {
            crate::fail(&format!("the result file cannot be written: {error}"));
        }
        if marker == Marker::End {
            self.owner.store(0, Ordering::Release);
        }
    }
}

impl Open {
    #[inline]
    fn enter(&mut self, block: &'static Block) {
        // SAFETY: this is the open region, so nobody else touches the counts.
        let counts = unsafe { &mut *block.counts.get() };
        match counts.edges.first_mut() {
            Some((from, count)) if *from == self.last => *count += 1,
            _ => self.enter_anew(block, counts),
        }
        self.last = block.id;
    }

    #[cold]
    fn enter_anew(&mut self, block: &'static Block, counts: &mut Counts) {
        if counts.edges.is_empty() {
            self.touched.push(block);
        }
        match counts.edges.iter().position(|&(from, _)| from == self.last) {
            Some(at) => {
                counts.edges[at].1 += 1;
                counts.edges.swap(0, at);
            }
            None => {
                counts.edges.push((self.last, 1));
                let at = counts.edges.len() - 1;
                counts.edges.swap(0, at);
            }
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        (self.node, self.nodes, self.instructions, self.last) = (None, 0, 0, NONE);
        let start = qemu_plugin::qemu_plugin_start_code().unwrap_or(0);
        writeln!(self.file, "begin {} {start:x}", self.region)
    }

    fn switch(&mut self, place: &'static Block, begins: bool) -> io::Result<()> {
        self.flush(place)?;
        self.node = begins.then_some(self.nodes);
        self.nodes += u64::from(begins);
        Ok(())
    }

    fn end(&mut self, place: &'static Block, overlaps: u64) -> io::Result<()> {
        self.flush(place)?;
        if overlaps > 0 {
            writeln!(self.file, "overlap")?;
        }
        writeln!(self.file, "end {} {}", self.region, self.instructions)?;
        self.region += 1;
        // QEMU ends without telling a plugin when the guest asks for it.
        self.file.flush()
    }

    /// Writes the bucket, which the marker at `place` ends.
    fn flush(&mut self, place: &'static Block) -> io::Result<()> {
        if self.last != NONE {
            self.enter(place);
        }
        self.last = NONE;
        match self.node {
            Some(node) => writeln!(self.file, "bucket {node}")?,
            None => writeln!(self.file, "bucket -")?,
        }
        // The order of the first entry says nothing and would differ with the translation.
        self.touched.sort_by_key(|block| block.id);
        for block in &self.touched {
            // SAFETY: as in `enter`.
            let counts = unsafe { &mut *block.counts.get() };
            if !std::mem::replace(&mut counts.written, true) {
                writeln!(self.file, "{}", block.line)?;
            }
        }
        for block in self.touched.drain(..) {
            // SAFETY: as in `enter`.
            let counts = unsafe { &mut *block.counts.get() };
            counts.edges.sort_unstable();
            for (from, count) in counts.edges.drain(..) {
                match from {
                    NONE => writeln!(self.file, "edge - {} {count}", block.id)?,
                    from => writeln!(self.file, "edge {from} {} {count}", block.id)?,
                }
                self.instructions += count * block.instructions;
            }
        }
        Ok(())
    }
}
