//! Small integer programs for tests: every scale, zero point, clamp and weight is drawn or given.

use crate::quantise::{Int8Runner, QGraph, QNode, QTensor};
use dunlin::format::{Blob, DType, encode};
use dunlin::ops::{self, Filter, Op};
use dunlin::quant::{Clamp, QParams, Requant};
use dunlin::shape::{Shape, Window};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// A program that grows by one node after the other.
pub(super) struct Net {
    pub(super) program: QGraph,
    pub(super) rng: Pcg64,
}

/// Weights of a layer, `[outputs, taps, inputs]` or `[taps, outputs]`, and its biases.
pub(super) struct Weights {
    pub(super) weights: Vec<i8>,
    pub(super) bias: Vec<i32>,
    pub(super) zero: i8,
    pub(super) clamp: Clamp,
}

impl Net {
    pub(super) fn new(seed: u64, input: Shape, zero: i16) -> (Self, u16) {
        let mut net = Self { program: QGraph::default(), rng: Pcg64::seed_from_u64(seed) };
        let x = net.tensor(input, zero);
        net.program.inputs.push(x);
        (net, x)
    }

    pub(super) fn range(&mut self, low: i32, high: i32) -> i32 {
        self.rng.random_range(low..=high)
    }

    pub(super) fn tensor(&mut self, shape: Shape, zero_point: i16) -> u16 {
        self.program.tensors.push(QTensor {
            name: format!("t{}", self.program.tensors.len()),
            dtype: DType::I8,
            shape,
            quant: QParams { scale: 0.5, zero_point },
            rows: None,
            persistent: false,
            constant: None,
            value: None,
        });
        (self.program.tensors.len() - 1) as u16
    }

    /// A tensor that never changes.
    pub(super) fn constant(&mut self, shape: Shape, zero: i16, values: &[i8]) -> u16 {
        let id = self.tensor(shape, zero);
        self.program.tensors[usize::from(id)].constant = Some(self.program.data.push(values));
        id
    }

    pub(super) fn shape(&self, id: u16) -> Shape {
        self.program.tensors[usize::from(id)].shape
    }

    pub(super) fn zero(&self, id: u16) -> i16 {
        self.program.tensors[usize::from(id)].quant.zero_point
    }

    pub(super) fn push(&mut self, op: Op, inputs: &[u16], shape: Shape, zero: i16) -> u16 {
        let output = self.tensor(shape, zero);
        let name = format!("n{}", self.program.nodes.len());
        self.program.nodes.push(QNode { name, op, inputs: inputs.to_vec(), outputs: vec![output] });
        output
    }

    /// Drawn weights.
    pub(super) fn weights(&mut self, count: usize, outputs: usize) -> Weights {
        Weights {
            weights: (0..count).map(|_| self.range(-90, 90) as i8).collect(),
            bias: (0..outputs).map(|_| self.range(-4000, 4000)).collect(),
            zero: 0,
            clamp: Clamp::FULL,
        }
    }

    fn filter(&mut self, w: &Weights) -> Filter {
        let factors: Vec<Requant> =
            w.bias.iter().map(|_| Requant::from_real(self.rng.random_range(0.001..0.02)).unwrap()).collect();
        let data = &mut self.program.data;
        Filter {
            weights: data.push(&w.weights),
            bias: data.push(&w.bias),
            multiplier: data.push(&factors.iter().map(|f| f.multiplier).collect::<Vec<_>>()),
            shift: data.push(&factors.iter().map(|f| f.shift).collect::<Vec<_>>()),
            weight_zero: w.zero,
            clamp: w.clamp,
        }
    }

    pub(super) fn conv(&mut self, x: u16, window: Window, w: &Weights, zero: i16) -> u16 {
        let filter = self.filter(w);
        let (h, width) = window.output(self.shape(x).h, self.shape(x).w).unwrap();
        let shape = self.shape(x).with_hw(h, width).with_c(w.bias.len() as u32);
        self.push(Op::Conv2d(ops::Conv2d { window, filter, labels: None }), &[x], shape, zero)
    }

    pub(super) fn depthwise(&mut self, x: u16, window: Window, w: &Weights, zero: i16) -> u16 {
        let filter = self.filter(w);
        let (h, width) = window.output(self.shape(x).h, self.shape(x).w).unwrap();
        let multiplier = (w.bias.len() as u32 / self.shape(x).c) as u16;
        let shape = self.shape(x).with_hw(h, width).with_c(w.bias.len() as u32);
        let op = ops::DepthwiseConv2d { window, filter, multiplier };
        self.push(Op::DepthwiseConv2d(op), &[x], shape, zero)
    }

    pub(super) fn dense(&mut self, x: u16, w: &Weights, zero: i16) -> u16 {
        let filter = self.filter(w);
        let shape = self.shape(x).with_c(w.bias.len() as u32);
        self.push(Op::Dense(ops::Dense { filter }), &[x], shape, zero)
    }

    pub(super) fn table(&mut self, x: u16, table: &[i8], zero: i16) -> u16 {
        let table: Blob = self.program.data.push(table);
        self.push(Op::Lut(ops::Lut { table }), &[x], self.shape(x), zero)
    }

    /// The finished program.
    pub(super) fn finish(mut self, outputs: &[u16]) -> QGraph {
        self.program.outputs = outputs.to_vec();
        self.program
    }
}

/// Output bytes of a program for `count` drawn inputs.
pub(super) fn run(program: &QGraph, count: u64) -> Vec<Vec<u8>> {
    let file = encode(&super::unplanned::spec(program).unwrap()).unwrap();
    let mut runner = Int8Runner::new(file.as_slice()).unwrap();
    let mut rng = Pcg64::seed_from_u64(17);
    let sizes: Vec<u32> = program.inputs.iter().map(|&x| program.tensors[usize::from(x)].bytes()).collect();
    let mut one = || {
        let inputs: Vec<Vec<u8>> =
            sizes.iter().map(|&n| (0..n).map(|_| rng.random::<u8>()).collect()).collect();
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        runner.run_bytes(&inputs).unwrap().into_iter().flat_map(|o| o.bytes).collect()
    };
    (0..count).map(|_| one()).collect()
}

/// The program after `change`, which may not change a byte of what it gives.
pub(super) fn unchanged(program: &QGraph, change: impl FnOnce(&mut QGraph)) -> QGraph {
    let mut after = program.clone();
    change(&mut after);
    assert_eq!(run(program, 4), run(&after, 4));
    after
}
