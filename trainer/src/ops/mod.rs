//! The operators of the float graph: one file each, and [`Op`], the list of all.
//!
//! A file holds the attributes, shape inference, parameters, multiply-accumulates and the float forward
//! pass on burn tensors. Shapes are NHWC everywhere; tensors inside [`Operator::forward`] are CNHW, the
//! executor's private layout: a convolution is then one product of matrices over the whole batch, and batch
//! normalisation works on contiguous rows.

mod activation;
mod add;
mod argmax;
mod avg_pool;
mod axes;
mod batch_matmul;
mod batch_norm;
mod batch_space;
mod compare;
mod concat;
mod constant;
mod conv2d;
mod dense;
mod depth_space;
mod depthwise;
mod dropout;
mod gather;
mod gather_rows;
mod identity;
mod layer_norm;
mod lstm;
mod max_pool;
mod max_unpool;
mod mul;
mod norm;
mod pad;
mod prelu;
mod reduce;
mod requantize;
mod reshape;
mod resize;
mod rows;
mod scatter_reduce;
mod segment_softmax;
mod slice;
mod softmax;
mod strided_slice;
mod svdf;
mod tile;
mod transpose;
mod transpose_conv2d;
mod unary;

pub use activation::Activation;
pub use add::{Add, Sub};
pub use argmax::{ArgMax, largest};
pub use avg_pool::AvgPool;
pub use batch_matmul::BatchMatMul;
pub use batch_norm::BatchNorm;
pub use batch_space::{BatchToSpace, SpaceToBatch};
pub use compare::{MinMax, SquaredDifference};
pub use concat::{Axis, Concat};
pub use constant::Constant;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use depth_space::{DepthToSpace, SpaceToDepth};
pub use depthwise::DepthwiseConv2d;
pub use dropout::Dropout;
pub use gather::Gather;
pub use gather_rows::GatherRows;
pub use identity::Identity;
pub use layer_norm::LayerNorm;
pub use lstm::Lstm;
pub use max_pool::{MaxPool, MaxPoolIndices};
pub use max_unpool::MaxUnpool;
pub use mul::{Div, Mul};
pub use norm::{L2Normalize, LogSoftmax};
pub use pad::{PadMode, PadOp};
pub use prelu::PRelu;
pub use reduce::{ArgExtreme, Reduce, ReduceFn};
pub use requantize::{Reinterpret, Requantize, RequantizeRule};
pub use reshape::Reshape;
pub use resize::{Resize, ResizeMode};
pub use scatter_reduce::ScatterReduce;
pub use segment_softmax::SegmentSoftmax;
pub use slice::Slice;
pub use softmax::Softmax;
pub use strided_slice::StridedSlice;
pub use svdf::Svdf;
pub use tile::Tile;
pub use transpose::Transpose;
pub use transpose_conv2d::TransposeConv2d;
pub use unary::{Unary, UnaryFn};

use burn::tensor::{Int, Tensor};
use dunlin::shape::Shape;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

/// Index of a bounded dimension in [`Graph::dims`](crate::graph::Graph::dims).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DimId(pub usize);

/// Why an operator refuses its inputs or attributes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OpError {
    /// Another number of inputs than the operator takes.
    #[error("takes {expected} input(s) but was given {found}")]
    InputCount {
        /// What the operator takes, in words.
        expected: &'static str,
        /// How many were given.
        found: usize,
    },
    /// The window does not fit into the padded input even once.
    #[error("the window {kernel_h}x{kernel_w} does not fit into input {input}")]
    Window {
        /// Rows of the window.
        kernel_h: u16,
        /// Columns of the window.
        kernel_w: u16,
        /// The input.
        input: Shape,
    },
    /// Two shapes that must agree do not.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// What was compared.
        what: &'static str,
        /// The shape that fits.
        expected: Shape,
        /// The shape that was given.
        found: Shape,
    },
    /// An attribute outside of its range.
    #[error("{0}")]
    Attribute(String),
}

/// How a parameter is filled before training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Init {
    /// Every element 0.
    Zeros,
    /// Every element 1.
    Ones,
    /// Every element the same.
    Constant {
        /// The value.
        value: f32,
    },
    /// Normal with variance `2 / fan_in` (He et al. 2015), for layers followed by a rectifier.
    HeNormal {
        /// Inputs that each output sums.
        fan_in: usize,
    },
    /// Uniform with variance `2 / (fan_in + fan_out)` (Glorot and Bengio 2010), for layers that no rectifier follows.
    GlorotUniform {
        /// Inputs that each output sums.
        fan_in: usize,
        /// Outputs that each input serves.
        fan_out: usize,
    },
    /// Rows that are orthogonal, or columns where there are fewer (Saxe et al. 2014), times `gain`: keeps lengths, so that a
    /// small gain makes a layer say little at first.
    Orthogonal {
        /// Length of a row or column.
        gain: f32,
    },
    /// Bilinear interpolation from each channel to itself (Long et al. 2015, section 3.3); needs `out == in`.
    Bilinear {
        /// Upsampling factor.
        stride: usize,
    },
}

/// A parameter that an operator asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Suffix of its name: `weight`, `bias`, `gamma`, …
    pub name: &'static str,
    /// Sizes, slowest first: convolutions OHWI, dense `[out, in]`, vectors `[c]`.
    pub dims: Vec<usize>,
    /// How it is filled.
    pub init: Init,
    /// False for running statistics.
    pub trainable: bool,
}

/// A run-time value, CNHW.
#[derive(Clone, Debug)]
pub enum Data {
    /// Activations.
    Float(Tensor<4>),
    /// Labels or pooling positions.
    Int(Tensor<4, Int>),
}

impl Data {
    /// The float tensor inside.
    ///
    /// # Panics
    /// Where it holds integers: the graph's type check makes that impossible.
    pub fn float(&self) -> Tensor<4> {
        match self {
            Data::Float(t) => t.clone(),
            Data::Int(_) => unreachable!("Graph::push checks element types"),
        }
    }

    /// The integer tensor inside.
    ///
    /// # Panics
    /// Where it holds floats: the graph's type check makes that impossible.
    pub fn int(&self) -> Tensor<4, Int> {
        match self {
            Data::Int(t) => t.clone(),
            Data::Float(_) => unreachable!("Graph::push checks element types"),
        }
    }
}

/// What a forward pass may ask of its surroundings.
pub struct Context<'a> {
    /// Batch statistics and dropout are active.
    pub training: bool,
    /// Samples that run at once.
    pub batch: usize,
    /// Size of each bounded dimension in this run.
    pub counts: Vec<usize>,
    /// Source of dropout masks.
    pub rng: &'a mut Pcg64,
    /// Set by batch normalisation while training: mean and variance of this batch, `[c]` each.
    pub statistics: Option<(Tensor<1>, Tensor<1>)>,
}

/// Element type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DType {
    /// Real numbers; int8 after quantisation.
    Float,
    /// Class labels, u8.
    Label,
    /// Positions inside a pooling window, u8, row-major.
    Index,
    /// Integers that are not quantised reals, i32: indices of a gather, results of an arg max.
    Int,
    /// A list of indices of rows, u16.
    Rows,
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DType::Float => "float",
            DType::Label => "label",
            DType::Index => "index",
            DType::Int => "integer",
            DType::Rows => "row index",
        })
    }
}

/// What every operator can do.
pub trait Operator {
    /// Name as printed and as used in parameter names, snake case.
    fn name(&self) -> &'static str;

    /// Output shapes (NHWC) for these input shapes.
    ///
    /// # Errors
    /// [`OpError`] where count, shapes or attributes do not fit.
    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError>;

    /// Parameters for these input shapes, in the order in which `forward` takes them.
    fn params(&self, _inputs: &[Shape]) -> Vec<ParamSpec> {
        Vec::new()
    }

    /// Multiply-accumulates of one inference.
    fn macs(&self, _inputs: &[Shape]) -> u64 {
        0
    }

    /// Element types that the inputs must have.
    fn input_types(&self, inputs: usize) -> Vec<DType> {
        vec![DType::Float; inputs]
    }

    /// Whether the operator moves values of any element type: its inputs then share one, and its outputs have it.
    fn any_type(&self) -> bool {
        false
    }

    /// Element types of the outputs.
    fn output_types(&self) -> Vec<DType> {
        vec![DType::Float]
    }

    /// The bounded dimension of the outputs' rows, where it is not that of the inputs with as many rows.
    fn output_rows(&self, _inputs: &[Option<DimId>]) -> Option<Option<DimId>> {
        None
    }

    /// How many rows, and of which bounded dimension, the entries of the list among its inputs name.
    fn named_rows(&self, _inputs: &[(Shape, Option<DimId>)]) -> Option<(u32, Option<DimId>)> {
        None
    }

    /// Whether the result of one sample depends on another where several are stacked along N: an operator that
    /// moves, joins or reduces N.
    fn mixes_samples(&self, _inputs: &[Shape]) -> bool {
        false
    }

    /// Computes the outputs. `params` are rank 4: `[c]` as `1,1,1,c`, `[o,i]` as `o,1,1,i`.
    fn forward(&self, ctx: &mut Context<'_>, inputs: &[Data], params: &[Tensor<4>]) -> Vec<Data>;
}

macro_rules! operators {
    ($($variant:ident($inner:ty)),* $(,)?) => {
        /// Every operator of the float graph.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum Op {
            $(#[doc = concat!("See [`", stringify!($inner), "`].")] $variant($inner),)*
        }

        impl Op {
            /// The operator behind the variant.
            pub fn operator(&self) -> &dyn Operator {
                match self {
                    $(Op::$variant(op) => op,)*
                }
            }
        }

        $(impl From<$inner> for Op {
            fn from(op: $inner) -> Self {
                Op::$variant(op)
            }
        })*
    };
}

operators! {
    Conv2d(Conv2d),
    DepthwiseConv2d(DepthwiseConv2d),
    TransposeConv2d(TransposeConv2d),
    Dense(Dense),
    MaxPool(MaxPool),
    MaxPoolIndices(MaxPoolIndices),
    MaxUnpool(MaxUnpool),
    AvgPool(AvgPool),
    Add(Add),
    Mul(Mul),
    Concat(Concat),
    Pad(PadOp),
    Reshape(Reshape),
    Slice(Slice),
    Resize(Resize),
    Softmax(Softmax),
    BatchNorm(BatchNorm),
    Unary(Unary),
    ArgMax(ArgMax),
    Identity(Identity),
    Dropout(Dropout),
    Sub(Sub),
    Div(Div),
    MinMax(MinMax),
    SquaredDifference(SquaredDifference),
    PRelu(PRelu),
    Constant(Constant),
    Requantize(Requantize),
    Reinterpret(Reinterpret),
    Transpose(Transpose),
    StridedSlice(StridedSlice),
    Gather(Gather),
    Tile(Tile),
    DepthToSpace(DepthToSpace),
    SpaceToDepth(SpaceToDepth),
    SpaceToBatch(SpaceToBatch),
    BatchToSpace(BatchToSpace),
    Reduce(Reduce),
    ArgExtreme(ArgExtreme),
    LogSoftmax(LogSoftmax),
    L2Normalize(L2Normalize),
    Lstm(Lstm),
    Svdf(Svdf),
    BatchMatMul(BatchMatMul),
    GatherRows(GatherRows),
    ScatterReduce(ScatterReduce),
    SegmentSoftmax(SegmentSoftmax),
    LayerNorm(LayerNorm),
}

impl Op {
    /// The activation fused into this operator, if it is one that can have any.
    pub fn fused(&self) -> Option<Activation> {
        match self {
            Op::Conv2d(o) => Some(o.fused),
            Op::DepthwiseConv2d(o) => Some(o.fused),
            Op::TransposeConv2d(o) => Some(o.fused),
            Op::Dense(o) => Some(o.fused),
            Op::Add(o) => Some(o.fused),
            Op::Sub(o) => Some(o.fused),
            Op::Mul(o) => Some(o.fused),
            Op::Div(o) => Some(o.fused),
            Op::MaxPool(o) => Some(o.fused),
            Op::AvgPool(o) => Some(o.fused),
            Op::Svdf(o) => Some(o.fused),
            _ => None,
        }
    }

    /// The fused activation, to be changed by the fusing pass.
    pub fn fused_mut(&mut self) -> Option<&mut Activation> {
        match self {
            Op::Conv2d(o) => Some(&mut o.fused),
            Op::DepthwiseConv2d(o) => Some(&mut o.fused),
            Op::TransposeConv2d(o) => Some(&mut o.fused),
            Op::Dense(o) => Some(&mut o.fused),
            Op::Add(o) => Some(&mut o.fused),
            Op::Sub(o) => Some(&mut o.fused),
            Op::Mul(o) => Some(&mut o.fused),
            Op::Div(o) => Some(&mut o.fused),
            Op::MaxPool(o) => Some(&mut o.fused),
            Op::AvgPool(o) => Some(&mut o.fused),
            Op::Svdf(o) => Some(&mut o.fused),
            _ => None,
        }
    }
}

/// The one input of a unary operator.
fn one(inputs: &[Shape]) -> Result<Shape, OpError> {
    match inputs {
        [x] => Ok(*x),
        _ => Err(OpError::InputCount { expected: "1", found: inputs.len() }),
    }
}

/// The two inputs of a binary operator.
fn two(inputs: &[Shape]) -> Result<(Shape, Shape), OpError> {
    match inputs {
        [a, b] => Ok((*a, *b)),
        _ => Err(OpError::InputCount { expected: "2", found: inputs.len() }),
    }
}

/// Output of an operator on pairs of elements: the sizes of an axis are equal or one of them is 1, and the output
/// has the larger.
fn broadcast(inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
    let (a, b) = two(inputs)?;
    let joined = |a: u32, b: u32| (a == b || a == 1 || b == 1).then_some(if a == 1 { b } else { a });
    let shape = || {
        Some(Shape { n: joined(a.n, b.n)?, h: joined(a.h, b.h)?, w: joined(a.w, b.w)?, c: joined(a.c, b.c)? })
    };
    match shape() {
        Some(shape) => Ok(vec![shape]),
        None => Err(OpError::Shape { what: "second operand", expected: a, found: b }),
    }
}

/// Shape of a window's output over `x`.
fn windowed(window: &dunlin::shape::Window, x: Shape, c: u32) -> Result<Shape, OpError> {
    let (h, w) = window.output(x.h, x.w).ok_or(OpError::Window {
        kernel_h: window.kernel_h,
        kernel_w: window.kernel_w,
        input: x,
    })?;
    Ok(Shape { n: x.n, h, w, c })
}
