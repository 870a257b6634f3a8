//! The golden models of the operators that were appended to version 1.
//!
//! Every node gives an output of its network, so that no result hides behind another's saturation. An operator that
//! is appended after a release of these models gets one of its own.

use super::network::{Network, factor};
use super::{COUNTS, counts, named, run};
use crate::draw::Draw;
use crate::host::Tables;
use dunlin::fixed::{log_softmax_constants, softmax_table};
use dunlin::fixed16::{SigmoidScale, sigmoid_table, softmax_scale, softmax_tables, table};
use dunlin::format::{DType, OwnedMetadata, Place, Tensor, encode};
use dunlin::ops::*;
use dunlin::quant::{Clamp, Clamp16, QParams, Requant};
use dunlin::shape::{Pad, Padding, Shape, Window};
use dunlin::{AlignedVec, Model};
use std::path::PathBuf;

/// Size of the images.
const IMAGE: Shape = Shape::image(4, 6, 4);
/// Size of the rows, with their bound.
const ROWS: Shape = Shape::rows(4, 4);
/// Scale of int8 inputs.
const SCALE: f32 = 0.05;
/// Scale of int16 inputs.
const WIDE: f32 = 1.0 / 4096.0;
/// Scale of results in -1 to 1.
const UNIT: f32 = 1.0 / 32768.0;

/// The folder of the files.
pub fn folder() -> PathBuf {
    named("v1-operators")
}

/// A model of some of the operators.
pub struct Part {
    /// What its files are called.
    pub name: &'static str,
    build: fn(&mut Network),
}

/// The models. Together they have every operator that [`super::model`] has not.
pub const PARTS: [Part; 8] = [
    Part { name: "elementwise", build: elementwise },
    Part { name: "layers", build: layers },
    Part { name: "functions", build: functions },
    Part { name: "memories", build: memories },
    Part { name: "moves", build: moves },
    Part { name: "fused", build: fused },
    Part { name: "graphs", build: graphs },
    Part { name: "norms", build: norms },
];

impl Network {
    fn int16(&mut self, shape: Shape, scale: f32) -> u16 {
        self.tensor(DType::I16, shape, QParams { scale, zero_point: 0 })
    }

    fn state(&mut self, dtype: DType, shape: Shape, quant: QParams) -> u16 {
        let start = self.spec.state_len.next_multiple_of(16);
        self.spec.state_len = start + shape.elements() as u32 * dtype.size();
        self.push(Tensor { dtype, shape, quant, place: Place::State(start), rows: None })
    }

    /// An int8 image that is an input of the network.
    fn image(&mut self, zero_point: i16) -> u16 {
        let id = self.int8(IMAGE, SCALE, zero_point);
        self.input(id)
    }

    /// An int16 image that is an input of the network.
    fn wide_image(&mut self) -> u16 {
        let id = self.int16(IMAGE, WIDE);
        self.input(id)
    }

    /// Rows that are an input of the network, and the dimension that bounds them.
    fn bounded(&mut self, dtype: DType, scale: f32, zero_point: i16) -> u16 {
        self.spec.dims = vec![ROWS.w];
        let id = self.tensor(dtype, ROWS, QParams { scale, zero_point });
        let id = self.rows(id);
        self.input(id)
    }

    fn input(&mut self, id: u16) -> u16 {
        self.spec.inputs.push(id);
        id
    }

    /// A node whose output is one of the network.
    fn give(&mut self, op: Op, inputs: &[u16], output: u16) {
        self.node(op, inputs, &[output]);
        self.spec.outputs.push(output);
    }

    fn give8(&mut self, op: Op, inputs: &[u16], shape: Shape) {
        let output = self.int8(shape, 0.1, -7);
        self.give(op, inputs, output);
    }

    fn give16(&mut self, op: Op, inputs: &[u16], shape: Shape) {
        let output = self.int16(shape, 1.0 / 1024.0);
        self.give(op, inputs, output);
    }

    /// A node whose output has the type and scale of its input.
    fn moved(&mut self, op: Op, inputs: &[u16], shape: Shape) {
        let Tensor { dtype, quant, .. } = self.get(inputs[0]);
        let output = self.tensor(dtype, shape, quant);
        self.give(op, inputs, output);
    }

    fn weights(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.draw.range(-127, 127) as i8).collect()
    }

    /// Weights with factors that keep sums of `taps` products in range.
    fn wide_filter(
        &mut self,
        channels: u32,
        weights: usize,
        taps: usize,
        accumulator: Accumulator,
    ) -> WideFilter {
        let values = self.weights(weights);
        let mut words =
            |low, high| -> Vec<i64> { (0..channels).map(|_| self.draw.range(low, high)).collect() };
        let (bias, multiplier) = (words(-500_000, 500_000), words(1 << 30, i64::from(i32::MAX)));
        let narrow = |values: &[i64]| values.iter().map(|&v| v as i32).collect::<Vec<_>>();
        let shift = -6 - (taps.ilog2() / 2) as i8;
        let data = &mut self.spec.data;
        WideFilter {
            weights: data.push(&values),
            bias: match accumulator {
                Accumulator::Bits32 => data.push(&narrow(&bias)),
                Accumulator::Bits64 => data.push(&bias),
            },
            multiplier: data.push(&narrow(&multiplier)),
            shift: data.push(&vec![shift; channels as usize]),
            weight_zero: if accumulator == Accumulator::Bits32 { 3 } else { 0 },
            accumulator,
            clamp: Clamp16 { min: -30_000, max: i16::MAX },
        }
    }

    /// A cell of memory; `bits` is what inputs have more than seven.
    fn cell(&mut self, inputs: u32, units: u32, bits: i32) -> LstmCell {
        let (i, u) = (inputs as usize, units as usize);
        let (weights, recurrent) = (self.weights(4 * u * i), self.weights(4 * u * u));
        let bias: Vec<i64> = (0..4 * u).map(|_| self.draw.range(-3000, 3000) << bits).collect();
        let gate = factor(0.3 / f64::from(1 << bits));
        let mut factors = vec![gate; 8];
        let power = |bits: u32| factor(1.0 / (1u64 << bits) as f64);
        factors.extend([power(15), power(18), power(if bits == 0 { 23 } else { 15 })]);
        let factors: Vec<i32> = factors.iter().flat_map(|f| [f.multiplier, i32::from(f.shift)]).collect();
        let data = &mut self.spec.data;
        LstmCell {
            weights: data.push(&weights),
            recurrent: data.push(&recurrent),
            bias: match bits {
                0 => data.push(&bias.iter().map(|&b| b as i32).collect::<Vec<_>>()),
                _ => data.push(&bias),
            },
            factors: data.push(&factors),
            sigmoid: data.push(&sigmoid_table()),
            cell_gate: CellFunction::Tanh,
            cell_power: -12,
            cell_clip: Some(30_000),
            reset: false,
        }
    }
}

/// Factors of a sum of two tensors of one scale, whose result has twice that scale.
fn sum(left_shift: u8) -> ([Requant; 2], Requant) {
    ([factor(0.5); 2], factor(1.0 / f64::from(1 << left_shift)))
}

fn elementwise(net: &mut Network) {
    let images = [net.image(-3), net.image(7)];
    let wide = [net.wide_image(), net.wide_image()];
    let (inputs, output) = sum(20);
    net.give8(Op::Sub(Sub { inputs, output, left_shift: 20, clamp: Clamp::FULL }), &images, IMAGE);
    let op = Div { output: factor(10.0), clamp: Clamp { min: -100, max: 100 }, modular: false };
    net.give8(Op::Div(op), &images, IMAGE);
    net.moved(Op::MinMax(MinMax { largest: true }), &images, IMAGE);
    let op = SquaredDifference { inputs: [factor(0.5); 2], output: factor(0.01 / 4096.0), left_shift: 7 };
    net.give8(Op::SquaredDifference(op), &images, IMAGE);
    let slopes = Tensor {
        dtype: DType::I8,
        shape: Shape::vector(4),
        quant: QParams { scale: 0.01, zero_point: 3 },
        place: Place::Data(net.spec.data.push(&[90i8, -40, 127, 5]).0),
        rows: None,
    };
    let slopes = net.push(slopes);
    let op = PRelu { positive: factor(0.5), negative: factor(0.005) };
    net.give8(Op::PRelu(op), &[images[0], slopes], IMAGE);

    let (inputs, output) = sum(15);
    let (left_shift, clamp) = (15, Clamp16::FULL);
    net.give16(Op::Add16(Add16 { inputs, output, left_shift, clamp }), &wide, IMAGE);
    net.give16(Op::Sub16(Sub16 { inputs, output, left_shift, clamp }), &wide, IMAGE);
    let op = Mul16 { output: factor(1.0 / f64::from(1 << 14)), clamp: Clamp16 { min: -20_000, max: 20_000 } };
    net.give16(Op::Mul16(op), &wide, IMAGE);

    let unsigned = net.tensor(DType::U8, IMAGE, QParams { scale: 0.07, zero_point: 100 });
    let op = Convert { scale: factor(0.05 / 0.07), truncate: false };
    net.give(Op::Convert(op), &[images[0]], unsigned);
}

fn layers(net: &mut Network) {
    let (x, u) = (net.image(-3), net.wide_image());
    let wide_rows = net.bounded(DType::I16, WIDE, 0);
    let same = Window::square(3, 1).resolve(Padding::Same, 4, 6).expect("a window that fits");
    let filter = net.wide_filter(3, 9 * 4 * 3, 36, Accumulator::Bits64);
    net.give16(Op::Conv2d16x8(Conv2d16x8 { window: same, filter }), &[u], IMAGE.with_c(3));
    let filter = net.wide_filter(8, 9 * 8, 9, Accumulator::Bits64);
    let op = DepthwiseConv2d16x8 { window: same, filter, multiplier: 2 };
    net.give16(Op::DepthwiseConv2d16x8(op), &[u], IMAGE.with_c(8));
    let filter = net.wide_filter(2, 4 * 4 * 2, 4, Accumulator::Bits32);
    let op = TransposeConv2d16x8 { window: Window::square(2, 2), output_h: 8, output_w: 12, filter };
    net.give16(Op::TransposeConv2d16x8(op), &[u], Shape::image(8, 12, 2));
    let mut sampling = Sampling { output_h: 5, output_w: 9, half_pixel_centers: true, align_corners: false };
    net.moved(Op::ResizeBilinearF32(ResizeBilinearF32 { sampling }), &[x], Shape::image(5, 9, 4));
    (sampling.half_pixel_centers, sampling.align_corners) = (false, true);
    net.moved(Op::ResizeBilinear16(ResizeBilinear16 { sampling }), &[u], Shape::image(5, 9, 4));
    let filter = net.wide_filter(5, 4 * 5, 4, Accumulator::Bits32);
    let output = net.int16(ROWS.with_c(5), 1.0 / 1024.0);
    let output = net.rows(output);
    net.give(Op::Dense16x8(Dense16x8 { filter }), &[wide_rows], output);
}

fn functions(net: &mut Network) {
    let [x, y] = [net.image(-3), net.image(7)];
    let [u, v] = [net.wide_image(), net.wide_image()];
    let clamp = Clamp16 { min: -25_000, max: 30_000 };
    let op = MaxPool2d16 { window: Window::square(2, 2), clamp };
    net.moved(Op::MaxPool2d16(op), &[u], Shape::image(2, 3, 4));
    let op = AveragePool2d16 { window: Window::square(3, 1).padded(Pad::all(1)), clamp };
    net.moved(Op::AveragePool2d16(op), &[u], IMAGE);

    let [exp, reciprocal] = softmax_tables();
    let scale = softmax_scale(f64::from(WIDE), 1.0).expect("a positive scale");
    let op = Softmax16 { scale, exp: net.spec.data.push(&exp), reciprocal: net.spec.data.push(&reciprocal) };
    let output = net.int16(IMAGE, UNIT);
    net.give(Op::Softmax16(op), &[u], output);

    let op = Rectify16 { scale: [factor(0.25), factor(0.05)], flip: [false, true], clamp: Clamp16::FULL };
    net.give16(Op::Rectify16(op), &[u], IMAGE);
    let sigmoid = net.spec.data.push(&sigmoid_table());
    let SigmoidScale { multiplier, shift } = SigmoidScale::logistic(WIDE).expect("a positive scale");
    let output = net.int16(IMAGE, UNIT);
    net.give(Op::Logistic16(Logistic16 { multiplier, shift, table: sigmoid }), &[u], output);
    let SigmoidScale { multiplier, shift } = SigmoidScale::tanh(WIDE).expect("a positive scale");
    let output = net.int16(IMAGE, UNIT);
    net.give(Op::Tanh16(Tanh16 { multiplier, shift, table: sigmoid }), &[v], output);
    net.give16(Op::Rsqrt16(Rsqrt16 { scale: factor(0.5) }), &[u], IMAGE);
    let square = table(WIDE, 0, 1.0 / 1024.0, |x| x * x / 2.0 - 9.0);
    let op = Lut16 { table: net.spec.data.push(&square) };
    net.give16(Op::Lut16(op), &[v], IMAGE);

    let constants = log_softmax_constants(f64::from(SCALE)).expect("a scale that is large enough");
    let op = LogSoftmax {
        exp: net.spec.data.push(&constants.exp),
        difference: net.spec.data.push(&constants.difference),
        reverse: constants.reverse,
        radius: constants.radius,
    };
    let output = net.int8(IMAGE, 1.0 / 16.0, 127);
    net.give(Op::LogSoftmax(op), &[x], output);
    let output = net.int8(IMAGE, 1.0 / 128.0, 0);
    net.give(Op::L2Normalize(L2Normalize { value_first: false }), &[y], output);
    let exp = softmax_table(f64::from(SCALE), 1.0).expect("a positive scale");
    let op = SoftmaxTo16 { exp: net.spec.data.push(&exp) };
    let output = net.tensor(DType::I16, IMAGE, QParams { scale: 1.0 / 65536.0, zero_point: i16::MIN });
    net.give(Op::SoftmaxTo16(op), &[x], output);
}

fn memories(net: &mut Network) {
    let (rows, wide_rows) = (net.bounded(DType::I8, SCALE, 2), net.bounded(DType::I16, WIDE, 0));
    let units = Shape::vector(3);
    let kept = QParams { scale: 1.0 / 128.0, zero_point: -4 };
    let cell_state = QParams { scale: 1.0 / 4096.0, zero_point: 0 };
    let states = [net.state(DType::I8, units, kept), net.state(DType::I16, units, cell_state)];
    let op = Op::Lstm(Lstm { cell: net.cell(4, 3, 0) });
    let output = net.int8(ROWS.with_c(3), kept.scale, kept.zero_point);
    let output = net.rows(output);
    net.give(op, &[rows, states[0], states[1]], output);

    let wide = QParams { scale: UNIT, zero_point: 0 };
    let states = [net.state(DType::I16, units, wide), net.state(DType::I16, units, cell_state)];
    let op = Op::Lstm16x8(Lstm16x8 { cell: net.cell(4, 3, 8) });
    let output = net.int16(ROWS.with_c(3), UNIT);
    let output = net.rows(output);
    net.give(op, &[wide_rows, states[0], states[1]], output);

    // Two units of two filters, which remember three inputs.
    let state = net.state(DType::I16, Shape::new(1, 1, 4, 3), cell_state);
    let (features, time) = (net.weights(4 * 4), net.weights(4 * 3));
    let time: Vec<i16> = time.into_iter().map(i16::from).collect();
    let data = &mut net.spec.data;
    let op = Svdf {
        features: data.push(&features),
        time: data.push(&time),
        bias: data.push(&[40_000, -70_000]),
        rank: 2,
        state: factor(0.5),
        output: factor(1.0 / f64::from(1 << 15)),
        clamp: Clamp { min: -120, max: 127 },
    };
    let output = net.int8(ROWS.with_c(2), 0.1, 9);
    let output = net.rows(output);
    net.give(Op::Svdf(op), &[rows, state], output);
}

fn moves(net: &mut Network) {
    let [x, y] = [net.image(-3), net.image(7)];
    let [u, v] = [net.wide_image(), net.wide_image()];
    let indices = net.tensor(DType::I32, Shape::vector(3), QParams::UNIT);
    net.input(indices);
    // Rows of one image with rows of the other.
    let products = IMAGE.with_c(6);
    let (transpose_a, transpose_b) = (false, true);
    let op = BatchMatMul { output: factor(1.0 / 128.0), transpose_a, transpose_b };
    net.give8(Op::BatchMatMul(op), &[x, y], products);
    let op = BatchMatMul16 { output: factor(1.0 / 32768.0), transpose_a, transpose_b };
    net.give16(Op::BatchMatMul16(op), &[u, v], products);

    net.moved(Op::Transpose(Transpose { perm: [0, 2, 3, 1] }), &[x], Shape::image(6, 4, 4));
    let op = StridedSlice { begin: [0, 3, 0, 3], step: [1, -2, 3, -1] };
    net.moved(Op::StridedSlice(op), &[x], Shape::image(2, 2, 4));
    let op = MirrorPad { before: [0, 1, 2, 0], after: [0, 0, 1, 0], mirror: Mirror::Reflect };
    net.moved(Op::MirrorPad(op), &[x], Shape::image(5, 9, 4));
    net.moved(Op::Gather(Gather { axis: Axis::W }), &[u, indices], Shape::image(4, 3, 4));
    net.moved(Op::Tile(Tile {}), &[y], Shape::image(4, 12, 4));
    let op = DepthToSpace { block: 2, order: BlockOrder::ChannelOutermost };
    net.moved(Op::DepthToSpace(op), &[x], Shape::image(8, 12, 1));
    net.moved(Op::SpaceToDepth(SpaceToDepth { block: 2 }), &[x], Shape::image(2, 3, 16));
    let samples = Shape::new(6, 2, 2, 4);
    net.moved(Op::SpaceToBatch(SpaceToBatch { block: [2, 3], pad: Pad::NONE }), &[y], samples);
    let blocks = net.spec.outputs[net.spec.outputs.len() - 1];
    let crop = Pad { top: 1, right: 1, ..Pad::NONE };
    net.moved(Op::BatchToSpace(BatchToSpace { block: [2, 3], crop }), &[blocks], Shape::image(3, 5, 4));

    let mean = factor(1.0).over(24).expect("there are elements");
    let op = ReduceSum { axes: [false, true, true, false], factor: mean };
    net.moved(Op::ReduceSum(op), &[x], Shape::vector(4));
    let op = ReduceExtreme { axes: [false, false, false, true], largest: false };
    net.moved(Op::ReduceExtreme(op), &[u], IMAGE.with_c(1));
    let output = net.tensor(DType::I32, Shape::image(1, 6, 4), QParams::UNIT);
    net.give(Op::ArgExtreme(ArgExtreme { axis: Axis::H, largest: true }), &[y], output);
}

impl Part {
    /// The model.
    pub fn model(&self) -> AlignedVec {
        let metadata = OwnedMetadata {
            name: format!("golden-{}", self.name),
            recipe: "appended operators, weights of seed 2".into(),
            data_licence: "no data".into(),
            ..OwnedMetadata::default()
        };
        let mut net = Network::new(Vec::new(), 2, metadata);
        (self.build)(&mut net);
        encode(&net.spec).expect("the golden model is valid")
    }

    /// The name of the model's file.
    pub fn model_file(&self) -> String {
        format!("{}.dun", self.name)
    }

    /// The name of the file with the inputs or outputs of a run, one after another.
    pub fn run_file(&self, run: usize, what: &str) -> String {
        format!("{}-run{run}-{what}.bin", self.name)
    }

    /// Every file as it is made today: name and contents.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let file = self.model();
        let mut tables = Tables::new();
        let parsed = Model::parse(file.as_slice(), &mut tables).expect("the encoder has parsed it");
        let runs: Vec<_> = (0..COUNTS.len()).map(|run| inputs(&parsed, run)).collect();
        let outputs = run(&parsed, &runs).expect("as much memory as the model asks for");
        let mut files = vec![(self.model_file(), file.as_slice().to_vec())];
        for (run, (inputs, outputs)) in runs.iter().zip(&outputs).enumerate() {
            files.push((self.run_file(run, "inputs"), inputs.concat()));
            files.push((self.run_file(run, "outputs"), outputs.concat()));
        }
        files
    }
}

/// Inputs of run `run` of a model; the last indices of [`Gather`] have one outside of its tensor.
pub fn inputs(model: &Model<'_>, run: usize) -> Vec<Vec<u8>> {
    let mut draw = Draw::seeded(200 + run as u64);
    let counts = counts(model, run);
    let input = |tensor: &Tensor| -> Vec<u8> {
        if tensor.dtype == DType::I32 {
            let indices: [i32; 3] = [[5, 0, 2], [1, 1, 3], [4, -1, 6]][run];
            return indices.into_iter().flat_map(i32::to_le_bytes).collect();
        }
        let rows = tensor.rows.map_or(tensor.shape.w, |dim| counts[usize::from(dim)]);
        if tensor.dtype == DType::U16 {
            // Nodes, the first dimension; one more is none of them.
            let nodes = counts[0] as u16;
            let entry = |at: u16| if at == nodes { NO_ROW } else { at };
            let mut index = || entry(draw.range(0, i64::from(nodes)) as u16).to_le_bytes();
            return (0..rows).flat_map(|_| index()).collect();
        }
        let len = Shape { w: rows, ..tensor.shape }.elements() * tensor.dtype.size() as usize;
        (0..len).map(|_| draw.range(0, 255) as u8).collect()
    };
    model.inputs().map(input).collect()
}

/// Every file of every model as it is made today: name and contents.
pub fn files() -> Vec<(String, Vec<u8>)> {
    PARTS.iter().flat_map(Part::files).collect()
}

fn fused(net: &mut Network) {
    let [x, y] = [net.image(-3), net.image(7)];
    let weights = net.weights(4 * 9 * 4);
    let data = &mut net.spec.data;
    let filter = Filter {
        weights: data.push(&weights),
        bias: data.push(&[9_000, -20_000, 400, 15_000]),
        multiplier: data.push(&[1_200_000_000, 1_900_000_000, 1_500_000_000, 1_073_741_825]),
        shift: data.push(&[-9i8, -10, -9, -8]),
        weight_zero: 0,
        clamp: Clamp { min: -20, max: 127 },
    };
    let window = Window::square(3, 1).resolve(Padding::Same, 4, 6).expect("a window that fits");
    let add = Add {
        inputs: [factor(0.5), factor(0.35)],
        output: factor(1.6 / f64::from(1 << 20)),
        left_shift: 20,
        clamp: Clamp { min: -90, max: 127 },
    };
    let conv = Conv2d { window, filter, labels: None };
    net.give8(Op::Conv2dAdd(Conv2dAdd { conv, zero_point: -20, add }), &[y, x], IMAGE);
}

fn norms(net: &mut Network) {
    let (image, rows) = (net.image(-3), net.bounded(DType::I8, SCALE, 2));
    let op = LayerNorm {
        gamma: net.spec.data.push(&[32_767i16, -20_000, 0, 9_000]),
        beta: net.spec.data.push(&[0, 1 << 24, -(1 << 30), 70_000_000]),
        epsilon: 40,
        scale: factor(1.5e-7),
    };
    let output = net.int8(IMAGE, 0.02, 11);
    net.give(Op::LayerNorm(op), &[image], output);
    let output = net.int8(ROWS, 0.02, -7);
    let output = net.rows(output);
    net.give(Op::LayerNorm(LayerNorm { epsilon: 0, ..op }), &[rows], output);
}

fn graphs(net: &mut Network) {
    /// Rows of the second dimension, and what they have.
    const EDGES: Shape = Shape::rows(6, 3);
    let nodes = net.bounded(DType::I8, SCALE, 2);
    net.spec.dims.push(EDGES.w);
    let mut of_edges = |dtype, shape, scale, zero_point| {
        let id = net.tensor(dtype, shape, QParams { scale, zero_point });
        net.bounded_by(1, id)
    };
    let edges = of_edges(DType::I8, EDGES, SCALE, 2);
    let [from, to] = [(); 2].map(|()| of_edges(DType::U16, EDGES.with_c(1), 1.0, 0));
    let seen = of_edges(DType::I8, EDGES.with_c(2 * ROWS.c + EDGES.c), SCALE, 2);
    let attention = of_edges(DType::I8, EDGES, 1.0 / 256.0, -128);
    net.spec.inputs.extend([edges, from, to]);
    net.give(Op::GatherRows(GatherRows { gathered: 0b101 }), &[nodes, edges, nodes, from, to], seen);
    let heard = [
        (Aggregation::Sum, 0.4, 0.1, -7),
        (Aggregation::Mean, 0.9, 0.06, 5),
        (Aggregation::Max, 1.0, SCALE, 2),
    ];
    for (aggregation, real, scale, zero_point) in heard {
        let output = net.int8(ROWS.with_c(EDGES.c), scale, zero_point);
        let output = net.rows(output);
        let op = ScatterReduce { aggregation, factor: factor(real) };
        net.give(Op::ScatterReduce(op), &[edges, to], output);
    }
    let exp = softmax_table(f64::from(SCALE), 1.0).expect("a positive scale");
    let op = SegmentSoftmax { exp: net.spec.data.push(&exp), segments: ROWS.w, dim: Some(0) };
    net.give(Op::SegmentSoftmax(op), &[edges, to], attention);
}
