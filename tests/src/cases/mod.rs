//! One-operator cases: a model, inputs and the outputs that the oracle expects, the same bytes for the host and
//! for every board.
//!
//! Every operator has one generator, listed in [`generators!`](self). A new operator of the runtime without a
//! line there does not compile: the match in [`Kind::of`] is exhaustive.

mod argmax;
mod batch_matmul;
mod binary;
mod concat;
mod constants;
mod conv;
mod conv16x8;
mod conv_add;
mod convert;
mod dense;
mod depthwise;
mod draft;
mod element;
mod graph;
mod layer;
mod lstm;
mod lut;
mod movement;
mod norm;
mod pad;
mod pool;
mod pool16;
mod reduce;
mod reshape;
mod resize;
mod slice;
mod softmax;
mod softmax16;
mod svdf;
mod transpose_conv;
mod unary16;
mod unpool;

pub use constants::{clamp, clamp16, quant, requant, requant_to};
pub use draft::{Draft, Fill, Home, Operand, Oracle};

use crate::draw::Draw;
use dunlin::Target;
use dunlin::ops::Op;

/// A one-operator model with runs and their results.
#[derive(Clone, Debug)]
pub struct Case {
    /// Operator and number of the case.
    pub name: String,
    /// The operator.
    pub kind: Kind,
    /// The `.dun` file.
    pub model: Vec<u8>,
    /// The same program packed for other cores, where they pack the operator's constants.
    pub packed: Vec<(Target, Vec<u8>)>,
    /// Runs in one session, in this order: a persistent tensor is carried from each to the next.
    pub runs: Vec<Run>,
    /// What the case exercises.
    pub features: Vec<Feature>,
}

/// One run of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Count of every bounded dimension; where it is the bound, nothing need be set.
    pub counts: Vec<u32>,
    /// Bytes of every input of the network.
    pub inputs: Vec<Vec<u8>>,
    /// Bytes of every output of the network.
    pub outputs: Vec<Vec<u8>>,
}

impl Case {
    /// Whether a runner that sets no counts can run the case: every count is the bound.
    pub fn runs_at_bounds(&self) -> bool {
        !self.features.contains(&Feature::CountBelowBound)
    }
}

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }
    };
}

named! {
    /// What a case exercises beyond the plain operator; a test counts how often the seeded set has each.
    Feature {
        /// Input 0 and output 0 share memory.
        InPlace,
        /// An operator that could work in place does not.
        Apart,
        /// More than one sample.
        Batch,
        /// A factor of zero.
        ZeroMultiplier,
        /// A factor whose results leave the range of int8 on both sides, or wrap.
        Saturating,
        /// A fused activation.
        Activation,
        /// A dilated window.
        Dilated,
        /// A stride above one.
        Strided,
        /// A padded window.
        Padded,
        /// Padding wider than the window's reach.
        WidePadding,
        /// Several output channels for an input channel.
        DepthMultiplier,
        /// Weights with a zero point.
        WeightZero,
        /// A 32-bit sum of 16-bit activations.
        NarrowSum,
        /// Scores reduced to a label.
        FusedArgMax,
        /// A smaller second operand.
        Broadcast,
        /// A smaller first operand.
        BroadcastFirst,
        /// Both operands are one tensor.
        Twin,
        /// Bounded rows.
        Bounded,
        /// A run with fewer rows than the bound.
        CountBelowBound,
        /// A run with no rows.
        CountZero,
        /// A persistent tensor.
        Persistent,
        /// A persistent tensor that is updated in place.
        PersistentInPlace,
        /// A state of the operator.
        Kept,
        /// An operand in the data section.
        Constant,
        /// A zero point at an end of its range.
        ExtremeZeroPoint,
        /// A tensor at an odd address.
        OddAddress,
        /// A pooling position that is not inside its window.
        StrayPosition,
        /// Real values that are not finite or do not fit.
        OddReal,
        /// Equal largest values.
        Ties,
        /// More channels than the results of a softmax have steps.
        ManyChannels,
        /// Elements taken backwards.
        Backwards,
        /// Computed indices outside of the tensor.
        StrayIndex,
        /// A row that no index names.
        Isolated,
        /// Rows chosen by index beside rows in order.
        Joined,
    }
}

macro_rules! generators {
    ($($kind:ident => $generate:path,)*) => {
        named! {
            /// An operator of the runtime.
            Kind { $(#[doc = concat!("`", stringify!($kind), "`.")] $kind,)* }
        }

        impl Kind {
            /// The kind of an operator.
            pub fn of(op: &Op) -> Self {
                match op { $(Op::$kind(_) => Self::$kind,)* }
            }

            /// Draws a one-operator program.
            pub fn draft(self, draw: &mut Draw<'_>) -> Draft {
                match self { $(Self::$kind => $generate(draw),)* }
            }
        }
    };
}

generators! {
    Conv2d => conv::draft,
    DepthwiseConv2d => depthwise::draft,
    TransposeConv2d => transpose_conv::draft,
    Dense => dense::draft,
    MaxPool2d => pool::max,
    MaxPool2dWithIndices => pool::max_with_indices,
    MaxUnpool2d => unpool::draft,
    AveragePool2d => pool::average,
    Add => binary::add,
    Mul => binary::mul,
    Concat => concat::draft,
    Pad => pad::draft,
    Reshape => reshape::draft,
    Slice => slice::draft,
    ResizeNearest => resize::nearest,
    ResizeBilinear => resize::bilinear,
    Softmax => softmax::draft,
    Lut => lut::draft,
    ArgMax => argmax::draft,
    Requantize => convert::requantize,
    Quantize => convert::quantize,
    Dequantize => convert::dequantize,
    Sub => binary::sub,
    Div => binary::div,
    MinMax => binary::min_max,
    SquaredDifference => binary::squared_difference,
    PRelu => binary::prelu,
    Add16 => binary::add16,
    Sub16 => binary::sub16,
    Mul16 => binary::mul16,
    Convert => convert::convert,
    Conv2d16x8 => conv16x8::conv,
    DepthwiseConv2d16x8 => conv16x8::depthwise,
    TransposeConv2d16x8 => conv16x8::transpose_conv,
    Dense16x8 => conv16x8::dense,
    MaxPool2d16 => pool16::max,
    AveragePool2d16 => pool16::average,
    Softmax16 => softmax16::draft,
    Rectify16 => unary16::rectify,
    Logistic16 => unary16::logistic,
    Tanh16 => unary16::tanh,
    Lut16 => unary16::lut,
    Lstm => lstm::int8,
    Lstm16x8 => lstm::int16,
    Svdf => svdf::draft,
    BatchMatMul => batch_matmul::int8,
    BatchMatMul16 => batch_matmul::int16,
    Transpose => movement::transpose,
    StridedSlice => movement::strided_slice,
    MirrorPad => movement::mirror_pad,
    Gather => movement::gather,
    Tile => movement::tile,
    DepthToSpace => movement::depth_to_space,
    SpaceToDepth => movement::space_to_depth,
    SpaceToBatch => movement::space_to_batch,
    BatchToSpace => movement::batch_to_space,
    ReduceSum => reduce::sum,
    ReduceExtreme => reduce::extreme,
    ArgExtreme => reduce::arg_extreme,
    LogSoftmax => norm::log_softmax,
    L2Normalize => norm::l2_normalize,
    SoftmaxTo16 => softmax16::from_int8,
    Rsqrt16 => unary16::rsqrt,
    ResizeBilinearF32 => resize::bilinear_f32,
    ResizeBilinear16 => resize::bilinear16,
    Conv2dAdd => conv_add::draft,
    GatherRows => graph::gather_rows,
    ScatterReduce => graph::scatter_reduce,
    SegmentSoftmax => graph::segment_softmax,
    LayerNorm => norm::layer_norm,
}

impl Kind {
    /// Draws a case.
    pub fn case(self, draw: &mut Draw<'_>) -> Case {
        let draft = self.draft(draw);
        draft.finish(self, draw)
    }
}

/// Cases of every operator in the seeded set.
pub const CASES_PER_KIND: u64 = 30;

/// The seeded set: the same cases on every machine.
pub fn seeded() -> Vec<Case> {
    let mut cases = Vec::new();
    for (k, kind) in Kind::ALL.iter().enumerate() {
        for index in 0..CASES_PER_KIND {
            let mut case = kind.case(&mut Draw::seeded(((k as u64) << 32) | index));
            case.name = format!("{kind:?}/{index}");
            cases.push(case);
        }
    }
    cases
}
