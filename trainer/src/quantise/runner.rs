//! Runs `.dun` files on the host: the runtime itself, with memory of its own.

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
    /// An input whose type does not fit the call.
    #[error("input {index} is {found:?}, expected int8")]
    Type {
        /// Which input.
        index: usize,
        /// Its type.
        found: DType,
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
    /// The values as real numbers; labels as they are.
    pub fn real(&self) -> Vec<f32> {
        match self.dtype {
            DType::I8 => self.bytes.iter().map(|&b| self.quant.dequantize(b as i8)).collect(),
            DType::U8 => self.bytes.iter().map(|&b| f32::from(b)).collect(),
            DType::I16 => {
                self.bytes.chunks_exact(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]]))).collect()
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
        if self.dtype == DType::U8 {
            return self.bytes.clone();
        }
        let scores = self.real();
        let largest = |row: &[f32]| {
            let mut best = 0;
            for (i, v) in row.iter().enumerate() {
                if *v > row[best] {
                    best = i;
                }
            }
            best as u8
        };
        scores.chunks_exact(self.shape.c as usize).map(largest).collect()
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
                let target = session.input_bytes_mut(index)?;
                let (expected, found) = (target.len(), bytes.len());
                if expected != found {
                    return Err(RunnerError::Length { index, expected, found, unit: "bytes" });
                }
                target.copy_from_slice(bytes);
            }
            session.run();
            outputs(session)
        })?
    }

    /// Runs once on real values, NHWC, which are quantised with the scale of their input.
    ///
    /// # Errors
    /// Another number, size or type of inputs than the model has.
    pub fn run_real(&mut self, inputs: &[&[f32]]) -> Result<Vec<Output>, RunnerError> {
        self.session(|session| {
            inputs_fit(session, inputs.len())?;
            for (index, values) in inputs.iter().enumerate() {
                let quant = quant_of(session, index)?;
                let target = session.input_mut::<i8>(index)?;
                let (expected, found) = (target.len(), values.len());
                if expected != found {
                    return Err(RunnerError::Length { index, expected, found, unit: "values" });
                }
                target.iter_mut().zip(*values).for_each(|(q, v)| *q = quant.quantize(*v));
            }
            session.run();
            outputs(session)
        })?
    }

    /// Runs on each image of raw pixels, NHWC, scaled as the file's metadata says, and hands the first output's
    /// labels to `each`.
    ///
    /// # Errors
    /// An image of another size than the input, or an input that is not int8.
    pub fn label_images<'i>(
        &mut self,
        images: impl Iterator<Item = &'i [u8]>,
        mut each: impl FnMut(usize, &[u8]),
    ) -> Result<(), RunnerError> {
        self.session(|session| {
            inputs_fit(session, 1)?;
            let quant = quant_of(session, 0)?;
            let channels = session.model().inputs().next().map_or(1, |t| t.shape.c as usize);
            let scaling = session.model().metadata().map_or(Scaling::NONE, |m| m.scaling);
            let tables: Vec<[i8; 256]> = (0..channels)
                .map(|c| std::array::from_fn(|raw| quant.quantize(scaling.real(raw as f32, c))))
                .collect();
            for (i, image) in images.enumerate() {
                let target = session.input_mut::<i8>(0)?;
                let (expected, found) = (target.len(), image.len());
                if expected != found {
                    return Err(RunnerError::Length { index: 0, expected, found, unit: "pixel bytes" });
                }
                for (at, (q, &raw)) in target.iter_mut().zip(image).enumerate() {
                    *q = tables[at % channels][usize::from(raw)];
                }
                session.run();
                let labels = outputs(session)?.first().map(Output::labels).unwrap_or_default();
                each(i, &labels);
            }
            Ok(())
        })?
    }
}

fn inputs_fit(session: &Session<'_, '_>, found: usize) -> Result<(), RunnerError> {
    let expected = session.model().inputs().len();
    if expected == found { Ok(()) } else { Err(RunnerError::Inputs { expected, found }) }
}

fn quant_of(session: &Session<'_, '_>, index: usize) -> Result<QParams, RunnerError> {
    match session.model().inputs().nth(index) {
        Some(t) if t.dtype == DType::I8 => Ok(t.quant),
        Some(t) => Err(RunnerError::Type { index, found: t.dtype }),
        None => Err(RunnerError::Inputs { expected: index, found: index + 1 }),
    }
}

fn outputs(session: &Session<'_, '_>) -> Result<Vec<Output>, RunnerError> {
    let output = |(i, t): (usize, &dunlin::format::Tensor)| {
        let bytes = session.output_bytes(i)?.to_vec();
        Ok(Output { dtype: t.dtype, shape: t.shape, quant: t.quant, bytes })
    };
    session.model().outputs().enumerate().map(output).collect()
}
