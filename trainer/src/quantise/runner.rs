//! Runs `.dun` files on the host: the runtime itself, with memory of its own.

use crate::ops::largest;
use dunlin::format::{DType, Scaling};
use dunlin::quant::QParams;
use dunlin::shape::Shape;
use dunlin::{AlignedVec, Model, ParseError, Session, SessionError, Storage};

/// Nodes, tensors and ids that a model on the host may have.
const NODES: usize = 4096;
type HostStorage = Storage<NODES, { 2 * NODES }, { 4 * NODES }>;

/// Why a file cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RunnerError {
    /// The runtime refuses the file.
    #[error("the runtime refuses the model: {0}")]
    Parse(ParseError),
    /// The runtime refuses memory or tensor.
    #[error("{0}")]
    Session(SessionError),
    /// Another number of inputs than the model has.
    #[error("the model has {expected} input(s) but {found} were given")]
    Inputs {
        /// Inputs of the model.
        expected: usize,
        /// Inputs given.
        found: usize,
    },
    /// An input of another size.
    #[error("input {index} has {expected} {unit} but {found} were given")]
    Length {
        /// Which input.
        index: usize,
        /// What the model takes.
        expected: usize,
        /// What was given.
        found: usize,
        /// Bytes or elements.
        unit: &'static str,
    },
}

impl From<ParseError> for RunnerError {
    fn from(error: ParseError) -> Self {
        Self::Parse(error)
    }
}

impl From<SessionError> for RunnerError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

/// An output tensor of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Element type.
    pub dtype: DType,
    /// Size, NHWC.
    pub shape: Shape,
    /// Scale and zero point.
    pub quant: QParams,
    /// The bytes, little endian.
    pub bytes: Vec<u8>,
}

impl Output {
    /// The values as real numbers; labels and positions, which have no scale, as they are.
    pub fn real(&self) -> Vec<f32> {
        match self.dtype {
            DType::I8 => self.bytes.iter().map(|&b| self.quant.dequantize(b as i8)).collect(),
            DType::U8 => {
                let real = |b: &u8| self.quant.scale * f32::from(i16::from(*b) - self.quant.zero_point);
                self.bytes.iter().map(real).collect()
            }
            DType::I16 => {
                let zero = i32::from(self.quant.zero_point);
                let steps = |b: &[u8]| i32::from(i16::from_le_bytes([b[0], b[1]])) - zero;
                let real = |b: &[u8]| self.quant.scale * steps(b) as f32;
                self.bytes.chunks_exact(2).map(real).collect()
            }
            DType::U16 => {
                let word = |b: &[u8]| f32::from(u16::from_le_bytes([b[0], b[1]]));
                self.bytes.chunks_exact(2).map(word).collect()
            }
            DType::I32 => {
                let word = |b: &[u8]| i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32;
                self.bytes.chunks_exact(4).map(word).collect()
            }
            DType::F32 => {
                let word = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                self.bytes.chunks_exact(4).map(word).collect()
            }
        }
    }

    /// A label per pixel: the values themselves where they are labels, else the largest channel.
    pub fn labels(&self) -> Vec<u8> {
        if self.dtype == DType::U8 && self.shape.c == 1 {
            return self.bytes.clone();
        }
        let scores = self.real();
        scores.chunks_exact(self.shape.c as usize).map(|row| largest(row) as u8).collect()
    }
}

/// A model file with arena, state and tables: runs the runtime on the host.
pub struct Int8Runner {
    file: AlignedVec,
    storage: Box<HostStorage>,
    arena: AlignedVec,
    state: AlignedVec,
}

impl Int8Runner {
    /// Checks `file` and reserves the memory that it needs.
    ///
    /// # Errors
    /// The runtime refuses the file.
    pub fn new(file: &[u8]) -> Result<Self, RunnerError> {
        let file = AlignedVec::from_slice(file);
        let mut storage = Box::new(HostStorage::new());
        let model = Model::parse(file.as_slice(), &mut storage)?;
        let (arena, state) = (model.arena_bytes(), model.state_bytes());
        let (arena, state) = (AlignedVec::zeroed(arena), AlignedVec::zeroed(state));
        let mut runner = Self { file, storage, arena, state };
        runner.session(|session| session.reset_state())?;
        Ok(runner)
    }

    /// Calls `f` with a session; persistent tensors keep their values from call to call.
    ///
    /// # Errors
    /// None that [`Int8Runner::new`] has not excluded.
    pub fn session<R>(&mut self, f: impl FnOnce(&mut Session<'_, '_>) -> R) -> Result<R, RunnerError> {
        let model = Model::parse(self.file.as_slice(), &mut self.storage)?;
        let mut session = Session::with_state(&model, self.arena.as_mut_slice(), self.state.as_mut_slice())?;
        Ok(f(&mut session))
    }

    /// The arena as the last run left it.
    pub fn arena(&self) -> &[u8] {
        self.arena.as_slice()
    }

    /// Runs once on raw tensor bytes.
    ///
    /// # Errors
    /// Another number or size of inputs than the model has.
    pub fn run_bytes(&mut self, inputs: &[&[u8]]) -> Result<Vec<Output>, RunnerError> {
        self.session(|session| {
            inputs_fit(session, inputs.len())?;
            for (index, bytes) in inputs.iter().enumerate() {
                give(session, index, bytes)?;
            }
            session.run();
            outputs(session)
        })?
    }

    /// Runs once on real values, NHWC, each brought into the type, scale and zero point of its input.
    ///
    /// # Errors
    /// Another number or size of inputs than the model has.
    pub fn run_real(&mut self, inputs: &[&[f32]]) -> Result<Vec<Output>, RunnerError> {
        self.run_counted(&[], inputs)
    }

    /// [`Int8Runner::run_real`] with a count for each bounded dimension from the first on; the others keep their bounds.
    /// Lists of indices are given as numbers.
    ///
    /// # Errors
    /// As [`Int8Runner::run_real`], a count beyond its bound, an index of a row that is not there.
    pub fn run_counted(&mut self, counts: &[u32], inputs: &[&[f32]]) -> Result<Vec<Output>, RunnerError> {
        self.session(|session| {
            inputs_fit(session, inputs.len())?;
            for (dim, &count) in counts.iter().enumerate() {
                session.set_len(dim, count)?;
            }
            for (index, values) in inputs.iter().enumerate() {
                let tensor = tensor_of(session, index)?;
                let bytes = to_bytes(values, tensor.dtype, tensor.quant);
                give(session, index, &bytes).map_err(|error| match error {
                    RunnerError::Length { expected, .. } => RunnerError::Length {
                        index,
                        expected: expected / tensor.dtype.size() as usize,
                        found: values.len(),
                        unit: "values",
                    },
                    error => error,
                })?;
            }
            session.run();
            outputs(session)
        })?
    }

    /// Runs once for each row of real values of a model with one input and returns the first outputs, row after row.
    /// Persistent tensors keep their values from row to row.
    ///
    /// # Errors
    /// Values that are no whole number of rows, a model of more than one input.
    pub fn run_rows(&mut self, rows: &[f32]) -> Result<Vec<f32>, RunnerError> {
        self.session(|session| {
            inputs_fit(session, 1)?;
            let tensor = tensor_of(session, 0)?;
            let expected = tensor.shape.elements();
            if !rows.len().is_multiple_of(expected) {
                return Err(RunnerError::Length { index: 0, expected, found: rows.len(), unit: "values" });
            }
            let mut real = Vec::new();
            for row in rows.chunks_exact(expected) {
                give(session, 0, &to_bytes(row, tensor.dtype, tensor.quant))?;
                session.run();
                real.extend(outputs(session)?.first().map(Output::real).unwrap_or_default());
            }
            Ok(real)
        })?
    }

    /// Whether the model has persistent tensors.
    pub fn remembers(&self) -> bool {
        !self.state.as_slice().is_empty()
    }

    /// Runs on each image of raw pixels, NHWC, scaled as the file's metadata says, and hands the first output's
    /// labels to `each`. Persistent tensors are reset before each image.
    ///
    /// # Errors
    /// An image of another size than the input, or a model of more than one input.
    pub fn label_images<'i>(
        &mut self,
        images: impl Iterator<Item = &'i [u8]>,
        mut each: impl FnMut(usize, &[u8]),
    ) -> Result<(), RunnerError> {
        self.session(|session| {
            inputs_fit(session, 1)?;
            let tensor = tensor_of(session, 0)?;
            let channels = tensor.shape.c.max(1) as usize;
            let scaling = session.model().metadata().map_or(Scaling::NONE, |m| m.scaling);
            let size = tensor.dtype.size() as usize;
            let tables: Vec<Vec<u8>> = (0..channels)
                .map(|c| {
                    let reals: Vec<f32> = (0..256).map(|raw| scaling.real(raw as f32, c)).collect();
                    to_bytes(&reals, tensor.dtype, tensor.quant)
                })
                .collect();
            for (i, image) in images.enumerate() {
                session.reset_state();
                let target = session.input_bytes_mut(0)?;
                let (expected, found) = (tensor.shape.elements(), image.len());
                if expected != found {
                    return Err(RunnerError::Length { index: 0, expected, found, unit: "pixel bytes" });
                }
                for (at, (value, &raw)) in target.chunks_exact_mut(size).zip(image).enumerate() {
                    value.copy_from_slice(&tables[at % channels][usize::from(raw) * size..][..size]);
                }
                session.run();
                let labels = outputs(session)?.first().map(Output::labels).unwrap_or_default();
                each(i, &labels);
            }
            Ok(())
        })?
    }
}

/// Gives input `index` by its bytes.
fn give(session: &mut Session<'_, '_>, index: usize, bytes: &[u8]) -> Result<(), RunnerError> {
    session.set_input_bytes(index, bytes).map_err(|error| match error {
        SessionError::Length { found, expected } => {
            let [expected, found] = [expected, found].map(|n| n as usize);
            RunnerError::Length { index, expected, found, unit: "bytes" }
        }
        error => RunnerError::Session(error),
    })
}

fn inputs_fit(session: &Session<'_, '_>, found: usize) -> Result<(), RunnerError> {
    let expected = session.model().inputs().len();
    if expected == found { Ok(()) } else { Err(RunnerError::Inputs { expected, found }) }
}

/// Real numbers as the bytes of a tensor, nearest and saturated.
fn to_bytes(values: &[f32], dtype: DType, q: QParams) -> Vec<u8> {
    // `as` saturates.
    let steps = |v: f32| (v / q.scale).round() as i32;
    let shifted = |v: f32| steps(v).saturating_add(i32::from(q.zero_point));
    match dtype {
        DType::I8 => values.iter().map(|&v| q.quantize(v) as u8).collect(),
        DType::U8 => values.iter().map(|&v| shifted(v).clamp(0, 255) as u8).collect(),
        DType::I16 => {
            values.iter().flat_map(|&v| (shifted(v).clamp(-32768, 32767) as i16).to_le_bytes()).collect()
        }
        DType::I32 => values.iter().flat_map(|&v| steps(v).to_le_bytes()).collect(),
        DType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::U16 => values.iter().flat_map(|&v| (v as u16).to_le_bytes()).collect(),
    }
}

fn tensor_of(session: &Session<'_, '_>, index: usize) -> Result<dunlin::format::Tensor, RunnerError> {
    let expected = session.model().inputs().len();
    session.model().inputs().nth(index).copied().ok_or(RunnerError::Inputs { expected, found: index + 1 })
}

fn outputs(session: &Session<'_, '_>) -> Result<Vec<Output>, RunnerError> {
    let output = |(i, t): (usize, &dunlin::format::Tensor)| {
        let bytes = session.output_bytes(i)?.to_vec();
        // Bounded rows have their count.
        let row = t.shape.elements() / t.shape.w as usize * t.dtype.size() as usize;
        let w = if t.rows.is_some() { (bytes.len() / row) as u32 } else { t.shape.w };
        Ok(Output { dtype: t.dtype, shape: Shape { w, ..t.shape }, quant: t.quant, bytes })
    };
    session.model().outputs().enumerate().map(output).collect()
}
