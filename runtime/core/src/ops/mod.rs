//! The operators: one file each, and the table that lists them.
//!
//! An operator file holds its attributes (what the file format stores), `check` (everything that must
//! hold before it may run, proved once by the parser), `scratch` (working memory per instruction set)
//! and `run`. To add one: its file, one line in [`operators!`](self), and its test generator; the
//! compiler names every place that is missing.

mod arg_extreme;
mod argmax;
mod batch_matmul;
mod batch_space;
mod binary;
mod broadcast;
mod channels;
mod concat;
mod context;
mod conv;
mod conv16x8;
mod conv_add;
mod convert;
mod dense;
mod depth_space;
mod depthwise;
mod elementwise;
mod gather;
mod gather_rows;
mod indices;
mod l2_normalize;
mod layer_norm;
mod log_softmax;
mod lstm;
mod lut;
mod mirror_pad;
mod pad;
mod pool;
mod pool16;
#[cfg(feature = "alloc")]
mod products;
mod reduce;
mod reshape;
mod resize;
mod scatter_reduce;
mod segment_softmax;
mod slice;
mod softmax;
mod softmax16;
mod strided_slice;
mod svdf;
mod tile;
mod transpose;
mod transpose_conv;
mod unary16;
mod unpool;
mod walk;
mod wide;

pub use arg_extreme::ArgExtreme;
pub use argmax::ArgMax;
pub use batch_matmul::{BatchMatMul, BatchMatMul16};
pub use batch_space::{BatchToSpace, SpaceToBatch};
pub use binary::{Add, Add16, Mul, Mul16, Sub, Sub16};
pub use channels::{Filter, LabelScores};
pub use concat::{Axis, Concat};
pub(crate) use context::{Io, Operands};
pub use conv::Conv2d;
pub use conv_add::Conv2dAdd;
pub use conv16x8::{Conv2d16x8, Dense16x8, DepthwiseConv2d16x8, TransposeConv2d16x8};
pub use convert::{Convert, Dequantize, Quantize, Requantize};
pub use dense::Dense;
pub use depth_space::{BlockOrder, DepthToSpace, SpaceToDepth};
pub use depthwise::DepthwiseConv2d;
pub use elementwise::{Div, MinMax, PRelu, SquaredDifference};
pub use gather::Gather;
pub use gather_rows::GatherRows;
pub use indices::NO_ROW;
pub(crate) use indices::Rows;
pub use l2_normalize::L2Normalize;
pub use layer_norm::{LayerNorm, fraction as layer_norm_fraction};
pub use log_softmax::LogSoftmax;
pub use lstm::{CellFunction, Lstm, Lstm16x8, LstmCell};
pub use lut::Lut;
pub use mirror_pad::{Mirror, MirrorPad};
pub use pad::Pad;
pub use pool::{AveragePool2d, AverageRounding, MaxPool2d, MaxPool2dWithIndices};
pub use pool16::{AveragePool2d16, MaxPool2d16};
#[cfg(feature = "alloc")]
pub use products::products;
pub use reduce::{ReduceExtreme, ReduceSum};
pub use reshape::Reshape;
pub use resize::{
    ResizeBilinear, ResizeBilinear16, ResizeBilinearF32, ResizeNearest, Sampling, interpolation_scale,
};
pub use scatter_reduce::{Aggregation, ScatterReduce};
pub use segment_softmax::SegmentSoftmax;
pub use slice::Slice;
pub use softmax::Softmax;
pub use softmax16::{Softmax16, SoftmaxTo16};
pub use strided_slice::StridedSlice;
pub use svdf::Svdf;
pub use tile::Tile;
pub use transpose::Transpose;
pub use transpose_conv::TransposeConv2d;
pub use unary16::{Logistic16, Lut16, Rectify16, Rsqrt16, Tanh16};
pub use unpool::MaxUnpool2d;
pub use wide::{Accumulator, WideFilter};

use crate::error::NodeFault;
#[cfg(feature = "encode")]
use crate::format::Blob;
use crate::format::Tensor;
#[cfg(feature = "encode")]
use crate::isa::Layer;
use crate::isa::{Isa, IsaKind, on_isa};
use serde::{Deserialize, Serialize};

/// What the parser and the executor ask of every operator.
pub(crate) trait Operator {
    /// Whether the first output may stand where the first input stood, if [`Operator::replaces`] agrees.
    const IN_PLACE: bool = false;

    /// Whether `output` may stand where `input` stood; only asked where both have the same bytes.
    fn replaces(&self, input: &Tensor, output: &Tensor) -> bool {
        let _ = (input, output);
        true
    }

    /// How many of the last inputs are *states*: persistent tensors that the node reads and writes. At most
    /// two; the parser proves that each is persistent and no other operand of the node.
    const STATES: usize = 0;

    /// The constants of the attributes.
    #[cfg(feature = "encode")]
    fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
        alloc::vec::Vec::new()
    }

    /// The weights that a target may pack, their layer, and the zero points of input and output.
    #[cfg(feature = "encode")]
    fn packable(&self, cx: &Operands<'_>) -> Option<(Filter, Layer, [i16; 2])> {
        let _ = cx;
        None
    }

    /// Proves that the node can run: arity, types, shapes, quantisation, constants.
    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault>;

    /// What the entries of input `input` name, if it is a list of indices. Asked before `check`.
    fn indexed(&self, cx: &Operands<'_>, input: usize) -> Option<Rows> {
        let _ = (cx, input);
        None
    }

    /// Bytes of working memory on `isa`. Only called after `check` has passed.
    fn scratch(&self, cx: &Operands<'_>, isa: IsaKind) -> u64 {
        let _ = (cx, isa);
        0
    }

    /// Runs the node. `None` is impossible after `check`; it stands for what the parser has excluded.
    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()>;
}

type RunFn = fn(&Op, IsaKind, &mut Io<'_, '_>) -> Option<()>;

/// How one node runs. A program that names only kernels links only these.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Kernel(RunFn);

/// Finds the kernel of a node.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Dispatch {
    kernels: &'static [Kernel],
    run: fn(&'static [Kernel], usize, &Op, IsaKind, &mut Io<'_, '_>) -> Option<()>,
}

impl Dispatch {
    /// Every operator: for models that are decoded at run time.
    pub(crate) const ALL: Self = Self { kernels: &[], run: |_, _, op, isa, io| op.run(isa, io) };

    /// One kernel a node.
    pub const fn of(kernels: &'static [Kernel]) -> Self {
        Self { kernels, run: |kernels, node, op, isa, io| (kernels.get(node)?.0)(op, isa, io) }
    }

    pub(crate) fn run(&self, node: usize, isa: IsaKind, op: &Op, io: &mut Io<'_, '_>) -> Option<()> {
        (self.run)(self.kernels, node, op, isa, io)
    }
}

/// Two models are the same whether or not their kernels were chosen at compile time.
impl PartialEq for Dispatch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// An operator with its attributes. The order is part of the file format: append only.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub enum Op {
            $($(#[$doc])* $name($name),)*
        }

        impl Op {
            /// Name of the operator, as printed in reports.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// Whether the first output may share the memory of the first input, for some attributes and sizes.
            pub const fn in_place(&self) -> bool {
                match self { $(Self::$name(_) => <$name as Operator>::IN_PLACE,)* }
            }

            /// Whether the first output may take the memory of the first input, both of these sizes.
            pub fn replaces(&self, input: &Tensor, output: &Tensor) -> bool {
                self.in_place()
                    && input.bytes() == output.bytes()
                    && match self { $(Self::$name(op) => Operator::replaces(op, input, output),)* }
            }

            /// How many of the last inputs are persistent tensors that the operator reads and writes.
            pub const fn states(&self) -> usize {
                match self { $(Self::$name(_) => <$name as Operator>::STATES,)* }
            }

            /// The constants of the attributes, in the order of the fields.
            #[cfg(feature = "encode")]
            pub fn blobs(&mut self) -> alloc::vec::Vec<&mut Blob> {
                match self { $(Self::$name(op) => Operator::blobs(op),)* }
            }

            /// What a target may pack of this operator.
            #[cfg(feature = "encode")]
            pub(crate) fn packable(&self, cx: &Operands<'_>) -> Option<(Filter, Layer, [i16; 2])> {
                match self { $(Self::$name(op) => Operator::packable(op, cx),)* }
            }

            pub(crate) fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
                match self { $(Self::$name(op) => op.check(cx),)* }
            }

            pub(crate) fn indexed(&self, cx: &Operands<'_>, input: usize) -> Option<Rows> {
                match self { $(Self::$name(op) => op.indexed(cx, input),)* }
            }

            pub(crate) fn scratch(&self, cx: &Operands<'_>, isa: IsaKind) -> u64 {
                match self { $(Self::$name(op) => op.scratch(cx, isa),)* }
            }

            /// Runs the operator, whichever it is: links all of them.
            fn run(&self, isa: IsaKind, io: &mut Io<'_, '_>) -> Option<()> {
                on_isa!(isa, I => match self { $(Self::$name(op) => op.run::<I>(io),)* })
            }
        }

        $(
            impl $name {
                /// The operator's kernel, for `dunlin::model!`.
                #[doc(hidden)]
                pub const KERNEL: Kernel = Kernel(|op, isa, io| match op {
                    Op::$name(op) => on_isa!(isa, I => op.run::<I>(io)),
                    _ => None,
                });
            }
        )*
    };
}

/// Kernels that do without those of portable constants.
macro_rules! packed_kernels {
    ($($name:ident),*) => {
        $(
            impl $name {
                /// The kernel of nodes whose constants are all packed, for `dunlin::model!`.
                #[doc(hidden)]
                pub const PACKED_KERNEL: Kernel = Kernel(|op, isa, io| {
                    io.packed = true;
                    match op {
                        Op::$name(op) => on_isa!(isa, I => op.run::<I>(io)),
                        _ => None,
                    }
                });
            }
        )*

        impl Op {
            /// Whether the constants of the node are packed, and the operator has a kernel for only such.
            #[cfg(feature = "encode")]
            pub(crate) fn packed(&self, cx: &Operands<'_>) -> bool {
                let has_kernel = matches!(self, $(Self::$name(_))|*);
                has_kernel && self.packable(cx).is_some_and(|(filter, layer, _)| filter.is_packed(cx, &layer))
            }
        }
    };
}

packed_kernels!(Conv2d, Conv2dAdd, DepthwiseConv2d, Dense);

operators! {
    /// Convolution.
    Conv2d,
    /// Depthwise convolution.
    DepthwiseConv2d,
    /// Transpose convolution.
    TransposeConv2d,
    /// Fully connected layer.
    Dense,
    /// Maximum pool.
    MaxPool2d,
    /// Maximum pool that also gives the position of each maximum.
    MaxPool2dWithIndices,
    /// Inverse of the pool with indices.
    MaxUnpool2d,
    /// Average pool.
    AveragePool2d,
    /// Sum.
    Add,
    /// Product.
    Mul,
    /// Concatenation.
    Concat,
    /// Padding with a constant.
    Pad,
    /// Another shape of the same elements.
    Reshape,
    /// A box cut out of a tensor.
    Slice,
    /// Nearest-neighbour resize.
    ResizeNearest,
    /// Bilinear resize.
    ResizeBilinear,
    /// Softmax over channels.
    Softmax,
    /// Table lookup: any unary function.
    Lut,
    /// Index of the largest channel.
    ArgMax,
    /// Change of scale.
    Requantize,
    /// Real to int8.
    Quantize,
    /// int8 to real.
    Dequantize,
    /// Difference.
    Sub,
    /// Quotient.
    Div,
    /// Smaller or larger of two.
    MinMax,
    /// Square of the difference.
    SquaredDifference,
    /// Rectifier with a slope per element.
    PRelu,
    /// Sum of int16.
    Add16,
    /// Difference of int16.
    Sub16,
    /// Product of int16.
    Mul16,
    /// Change of type and scale.
    Convert,
    /// Convolution of 16-bit activations.
    Conv2d16x8,
    /// Depthwise convolution of 16-bit activations.
    DepthwiseConv2d16x8,
    /// Transpose convolution of 16-bit activations.
    TransposeConv2d16x8,
    /// Fully connected layer of 16-bit activations.
    Dense16x8,
    /// Maximum pool of 16-bit values.
    MaxPool2d16,
    /// Average pool of 16-bit values.
    AveragePool2d16,
    /// Softmax over channels of 16-bit values.
    Softmax16,
    /// Relu, leaky relu, absolute value, negation or clamp of 16-bit values.
    Rectify16,
    /// Logistic function of 16-bit values.
    Logistic16,
    /// Hyperbolic tangent of 16-bit values.
    Tanh16,
    /// Interpolated table: any smooth function of 16-bit values.
    Lut16,
    /// Long short-term memory.
    Lstm,
    /// Long short-term memory with 16-bit activations.
    Lstm16x8,
    /// Singular value decomposition filter.
    Svdf,
    /// Products of matrices.
    BatchMatMul,
    /// Products of matrices with 16-bit activations.
    BatchMatMul16,
    /// Axes in another order.
    Transpose,
    /// Every so many elements.
    StridedSlice,
    /// Padding with the mirror image.
    MirrorPad,
    /// Elements by their indices.
    Gather,
    /// Repetition, or broadcast.
    Tile,
    /// Channels to blocks of pixels.
    DepthToSpace,
    /// Blocks of pixels to channels.
    SpaceToDepth,
    /// Blocks of pixels to samples.
    SpaceToBatch,
    /// Samples to blocks of pixels.
    BatchToSpace,
    /// Sum or mean over axes.
    ReduceSum,
    /// Largest or smallest value over axes.
    ReduceExtreme,
    /// Index of the largest or smallest element along an axis.
    ArgExtreme,
    /// Logarithm of the softmax over channels.
    LogSoftmax,
    /// Division by the norm of the channels.
    L2Normalize,
    /// Softmax of int8 with 16-bit results.
    SoftmaxTo16,
    /// Inverse square root of 16-bit values.
    Rsqrt16,
    /// Bilinear resize with weights in f32.
    ResizeBilinearF32,
    /// Bilinear resize of 16-bit values.
    ResizeBilinear16,
    /// Convolution added to another tensor.
    Conv2dAdd,
    /// Rows of several sets side by side, in order or by index.
    GatherRows,
    /// Sum, mean or maximum of rows that share an index.
    ScatterReduce,
    /// Softmax over rows that share an index.
    SegmentSoftmax,
    /// Normalisation over the channels.
    LayerNorm,
}
