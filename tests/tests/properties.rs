//! The generators of the cases under proptest: any choices, and shrinking to the smallest case that fails.
//!
//! 256 cases of each operator; `PROPTEST_CASES` sets another number.

use dunlin_tests::cases::Kind;
use dunlin_tests::draw::Draw;
use dunlin_tests::host;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// Choices that a generator reads before the list runs out and goes on with zeros.
const CHOICES: usize = 64;
fn config() -> ProptestConfig {
    // Found failures become seeded cases, not files of this crate's checkout.
    let failure_persistence = None::<Box<FileFailurePersistence>>.map(|p| p as _);
    ProptestConfig { failure_persistence, ..ProptestConfig::default() }
}

macro_rules! properties {
    ($($test:ident: $kind:ident),* $(,)?) => {
        proptest! {
            #![proptest_config(config())]
            $(
                #[test]
                fn $test(choices in prop::collection::vec(any::<u32>(), 0..CHOICES)) {
                    let case = Kind::$kind.case(&mut Draw::replay(&choices));
                    host::check(&case).map_err(TestCaseError::fail)?;
                }
            )*
        }

        #[test]
        fn every_operator_has_its_property() {
            assert_eq!([$(Kind::$kind),*].as_slice(), Kind::ALL);
        }
    };
}

properties! {
    conv2d: Conv2d,
    depthwise_conv2d: DepthwiseConv2d,
    transpose_conv2d: TransposeConv2d,
    dense: Dense,
    max_pool2d: MaxPool2d,
    max_pool2d_with_indices: MaxPool2dWithIndices,
    max_unpool2d: MaxUnpool2d,
    average_pool2d: AveragePool2d,
    add: Add,
    mul: Mul,
    concat: Concat,
    pad: Pad,
    reshape: Reshape,
    slice: Slice,
    resize_nearest: ResizeNearest,
    resize_bilinear: ResizeBilinear,
    softmax: Softmax,
    lut: Lut,
    argmax: ArgMax,
    requantize: Requantize,
    quantize: Quantize,
    dequantize: Dequantize,
    sub: Sub,
    div: Div,
    min_max: MinMax,
    squared_difference: SquaredDifference,
    prelu: PRelu,
    add16: Add16,
    sub16: Sub16,
    mul16: Mul16,
    convert: Convert,
    conv2d_16x8: Conv2d16x8,
    depthwise_conv2d_16x8: DepthwiseConv2d16x8,
    transpose_conv2d_16x8: TransposeConv2d16x8,
    dense_16x8: Dense16x8,
    max_pool2d_16: MaxPool2d16,
    average_pool2d_16: AveragePool2d16,
    softmax_16: Softmax16,
    rectify_16: Rectify16,
    logistic_16: Logistic16,
    tanh_16: Tanh16,
    lut_16: Lut16,
    lstm: Lstm,
    lstm16x8: Lstm16x8,
    svdf: Svdf,
    batch_matmul: BatchMatMul,
    batch_matmul16: BatchMatMul16,
    transpose: Transpose,
    strided_slice: StridedSlice,
    mirror_pad: MirrorPad,
    gather: Gather,
    tile: Tile,
    depth_to_space: DepthToSpace,
    space_to_depth: SpaceToDepth,
    space_to_batch: SpaceToBatch,
    batch_to_space: BatchToSpace,
    reduce_sum: ReduceSum,
    reduce_extreme: ReduceExtreme,
    arg_extreme: ArgExtreme,
    log_softmax: LogSoftmax,
    l2_normalize: L2Normalize,
    softmax_to16: SoftmaxTo16,
    rsqrt_16: Rsqrt16,
    resize_bilinear_f32: ResizeBilinearF32,
    resize_bilinear_16: ResizeBilinear16,
    conv2d_add: Conv2dAdd,
    gather_rows: GatherRows,
    scatter_reduce: ScatterReduce,
    segment_softmax: SegmentSoftmax,
    layer_norm: LayerNorm,
}
