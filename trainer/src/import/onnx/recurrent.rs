//! Recurrent layers: the graph's own LSTM, others step by step. Each step is dense layers and elementwise operators of the
//! graph, and all steps share their parameters.

use super::binary::{self, BinaryFn};
use super::concat::join;
use super::constant::Constant;
use super::fail::Fail;
use super::importer::{Held, Importer, Item, Kind};
use super::layout::Layout;
use super::matmul;
use super::node::Node;
use super::select::{Run, cut_held, reversed};
use super::shape::{reshaped_held, transposed};
use super::unary;
use crate::graph::ParamId;
use crate::ops::{self, UnaryFn};

/// Most steps that are written out.
const MAX_STEPS: usize = 128;

/// The three layers of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Rnn,
    Gru,
    Lstm,
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    /// Functions of one direction where the file names none.
    fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Rnn => &["Tanh"],
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        }
    }
}

/// What a direction works with.
struct Direction {
    cell: Cell,
    hidden: usize,
    /// `[in, gates · hidden]`.
    weight: Constant,
    /// `[hidden, gates · hidden]`.
    recurrent: Constant,
    /// Added to the products of the inputs, `gates · hidden`.
    bias: Constant,
    /// Added to the product of the hidden state of the last gate of a GRU, `hidden`.
    inner_bias: Constant,
    /// Of an LSTM: weights of the cell state at input, output and forget gate, `hidden` each.
    peepholes: Option<[Constant; 3]>,
    functions: Vec<UnaryFn>,
    linear_before_reset: bool,
    /// Initial hidden and cell state `[batch, hidden]`.
    initial: [Option<Held>; 2],
}

pub(super) fn recurrent(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    let cell = match node.op {
        "RNN" => Cell::Rnn,
        "GRU" => Cell::Gru,
        _ => Cell::Lstm,
    };
    node.check_inputs(3, if cell == Cell::Lstm { 8 } else { 6 })?;
    let batch_first = node.flag("layout")?;
    let x = im.held(node, 0)?;
    let x = im.plain(x)?;
    // Steps first, as in the older layout.
    let x = if batch_first && x.dims.len() == 3 { transposed(im, x, &[1, 0, 2])? } else { x };
    let &[steps, batch, inputs] = x.dims.as_slice() else {
        return Err(Fail::malformed(format!("its input has shape {:?}, not rank 3", x.dims)));
    };
    let whole = cell == Cell::Lstm && is_plain_lstm(node)?;
    if steps > MAX_STEPS && !whole {
        return Err(Fail::unsupported(
            format!("has {steps} steps, which would all be written out"),
            format!(
                "up to {MAX_STEPS} can be imported; a model of one step, its states inputs and outputs, runs for ever"
            ),
        ));
    }
    check_lengths(im, node, steps)?;
    let ways: &[bool] = match node.string_or("direction", "forward")? {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return Err(Fail::malformed(format!("`direction` is `{other}`"))),
    };
    let mut sequences = Vec::new();
    let mut ends: [Vec<Item>; 2] = [Vec::new(), Vec::new()];
    let mut hidden = 0;
    for (i, backwards) in ways.iter().enumerate() {
        let direction = direction(im, node, cell, [i, ways.len()], [batch, inputs])?;
        hidden = direction.hidden;
        let x = if *backwards { reversed(im, x.clone(), 0)? } else { x.clone() };
        let prefix = if ways.len() > 1 { format!("direction{i}.") } else { String::new() };
        let given = direction.initial.iter().flatten().count();
        let (all, last) = if whole && given != 1 {
            layer(im, &direction, x, &prefix)?
        } else {
            unrolled(im, &direction, x, prefix)?
        };
        let all = if *backwards { reversed(im, all, 0)? } else { all };
        sequences.push(Item::Held(reshaped_held(im, all, vec![steps, 1, batch, hidden])?));
        for (list, state) in ends.iter_mut().zip(last) {
            if let Some(state) = state {
                list.push(Item::Held(reshaped_held(im, state, vec![1, batch, hidden])?));
            }
        }
    }
    let n = ways.len();
    let mut outputs = vec![join(im, sequences, 1, vec![steps, n, batch, hidden])?];
    for list in ends {
        if !list.is_empty() {
            outputs.push(join(im, list, 0, vec![n, batch, hidden])?);
        }
    }
    let mut items = Vec::new();
    for held in outputs {
        let order: &[usize] = if held.dims.len() == 4 { &[2, 0, 1, 3] } else { &[1, 0, 2] };
        let held = if batch_first { transposed(im, held, order)? } else { held };
        items.push(Item::Held(held));
    }
    Ok(items)
}

/// Whether an LSTM is the graph's own: without peepholes, with its usual functions.
fn is_plain_lstm(node: &Node<'_>) -> Result<bool, Fail> {
    let usual = |(i, name): (usize, &&str)| {
        Cell::Lstm.functions().get(i % 3).is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    Ok(node.input(7).is_none() && node.strings("activations")?.iter().enumerate().all(usual))
}

/// The graph's own layer over `x` `[steps, batch, in]`: the hidden states `[steps, batch, hidden]`, and the last hidden and
/// cell state.
fn layer(im: &mut Importer, d: &Direction, x: Held, prefix: &str) -> Result<(Held, [Option<Held>; 2]), Fail> {
    let &[steps, batch, _] = x.dims.as_slice() else { return Err(Fail::malformed("rank 3 is expected")) };
    // Sequences on N, time on W.
    let sequences = |dims: &[usize]| {
        let place = [Some(1), None, Some(0), Some(2)];
        let place = place.map(|a: Option<usize>| a.filter(|a| dims.get(*a).is_some_and(|d| *d != 1)));
        Layout { inner: dims.to_vec(), place }
    };
    let states = |dims: &[usize]| {
        let place = [Some(0), None, None, Some(1)];
        let place = place.map(|a: Option<usize>| a.filter(|a| dims.get(*a).is_some_and(|d| *d != 1)));
        Layout { inner: dims.to_vec(), place }
    };
    let target = sequences(&x.dims);
    let x = im.place(x, &target)?;
    let mut inputs = vec![x.id];
    let flat = vec![batch, d.hidden];
    for state in d.initial.iter().flatten() {
        inputs.push(im.place(state.clone(), &states(&flat))?.id);
    }
    // Gates input, output, forget, cell of the file as input, forget, cell, output.
    let gates = |c: &Constant| {
        let each = c.len() / Cell::Lstm.gates();
        c.pick(vec![c.len()], [0, 2, 3, 1].into_iter().flat_map(|g| g * each..(g + 1) * each)).to_floats()
    };
    let params =
        vec![gates(&d.weight.permute(&[1, 0])), gates(&d.recurrent.permute(&[1, 0])), gates(&d.bias)];
    let op = ops::Lstm { units: d.hidden as u32, cell_clip: None, logistic_cell_gate: false };
    let part = prefix.strip_suffix('.').unwrap_or_default();
    let outputs = im.push_all(part, op, &inputs, params)?;
    let &[all, hidden, cell, ..] = outputs.as_slice() else {
        return Err(Fail::malformed("the layer has no state"));
    };
    let dims = vec![steps, batch, d.hidden];
    let all = Held { id: all, layout: sequences(&dims), dims, kind: Kind::Real };
    let state = |id| Held { id, dims: flat.clone(), layout: states(&flat), kind: Kind::Real };
    Ok((all, [Some(state(hidden)), Some(state(cell))]))
}

/// Every sequence must be as long as the input.
fn check_lengths(im: &Importer, node: &Node<'_>, steps: usize) -> Result<(), Fail> {
    let Some(lengths) = im.constant_if_given(node, 4)? else { return Ok(()) };
    if lengths.as_ints()?.iter().any(|l| usize::try_from(*l) != Ok(steps)) {
        return Err(Fail::unsupported(
            "has sequences of different lengths",
            "give each sequence all its steps",
        ));
    }
    Ok(())
}

/// Part `[i, ..]` of a parameter of `n` directions, input `input` of the node.
fn parameter(
    im: &Importer,
    node: &Node<'_>,
    input: usize,
    [i, n]: [usize; 2],
    dims: &[usize],
) -> Result<Option<Constant>, Fail> {
    let Some(c) = im.constant_if_given(node, input)? else { return Ok(None) };
    let expected = [&[n], dims].concat();
    if c.dims != expected {
        return Err(Fail::malformed(format!("input {input} has shape {:?}, not {expected:?}", c.dims)));
    }
    let size: usize = dims.iter().product();
    Ok(Some(c.pick(dims.to_vec(), i * size..(i + 1) * size)))
}

fn direction(
    im: &mut Importer,
    node: &Node<'_>,
    cell: Cell,
    place: [usize; 2],
    [batch, inputs]: [usize; 2],
) -> Result<Direction, Fail> {
    for (attribute, what) in [("clip", "limits its gates"), ("input_forget", "couples its gates")] {
        let set = if attribute == "clip" { node.float(attribute)?.is_some() } else { node.flag(attribute)? };
        if set {
            return Err(Fail::unsupported(format!("{what} (`{attribute}`)"), "leave the attribute out"));
        }
    }
    let gates = cell.gates();
    let hidden = im.constant(node, 2)?.dims.last().copied().unwrap_or(0);
    if node.int("hidden_size")?.is_some_and(|h| usize::try_from(h) != Ok(hidden)) || hidden == 0 {
        return Err(Fail::malformed(format!("`hidden_size` is not {hidden}, as the weights have it")));
    }
    let missing = |what: &str| Fail::malformed(format!("the {what} are missing"));
    let rows = gates * hidden;
    let weight = parameter(im, node, 1, place, &[rows, inputs])?.ok_or_else(|| missing("weights"))?;
    let recurrent =
        parameter(im, node, 2, place, &[rows, hidden])?.ok_or_else(|| missing("recurrent weights"))?;
    let both =
        parameter(im, node, 3, place, &[2 * rows])?.map_or_else(|| vec![0.0; 2 * rows], |b| b.to_floats());
    let (of_input, of_hidden) = both.split_at(rows);
    let linear_before_reset = cell == Cell::Gru && node.flag("linear_before_reset")?;
    // The last gate of such a GRU multiplies its product, bias included, before it is added.
    let apart = if linear_before_reset { 2 * hidden } else { rows };
    let bias =
        of_input.iter().zip(of_hidden).enumerate().map(|(k, (x, h))| if k < apart { x + h } else { *x });
    let bias = Constant::floats(vec![rows], bias.collect());
    let inner_bias = of_hidden.get(2 * hidden..3 * hidden).map_or_else(Vec::new, <[f32]>::to_vec);
    let peepholes = match cell {
        Cell::Lstm => parameter(im, node, 7, place, &[3 * hidden])?,
        _ => None,
    };
    let peepholes = peepholes.map(|p| [0, 1, 2].map(|k| p.pick(vec![hidden], k * hidden..(k + 1) * hidden)));
    let state = |im: &mut Importer, input: usize| -> Result<Option<Held>, Fail> {
        if node.input(input).is_none() {
            return Ok(None);
        }
        let item = im.item(node, input)?;
        // Zeros are what there is without it.
        if matches!(&item, Item::Constant(c) if c.uniform() == Some(0.0)) {
            return Ok(None);
        }
        let held = im.hold(item)?;
        let held = if node.flag("layout")? { transposed(im, held, &[1, 0, 2])? } else { held };
        if held.dims != [place[1], batch, hidden] {
            return Err(Fail::malformed(format!("input {input} has shape {:?}", held.dims)));
        }
        let runs = [place[0], 0, 0].into_iter().zip([1, batch, hidden]);
        let runs: Vec<Run> = runs.map(|(start, count)| Run { start, step: 1, count }).collect();
        let part = cut_held(im, held, &runs)?;
        reshaped_held(im, part, vec![batch, hidden]).map(Some)
    };
    let initial = [state(im, 5)?, if cell == Cell::Lstm { state(im, 6)? } else { None }];
    Ok(Direction {
        cell,
        hidden,
        weight: weight.permute(&[1, 0]),
        recurrent: recurrent.permute(&[1, 0]),
        bias,
        inner_bias: Constant::floats(vec![inner_bias.len()], inner_bias),
        peepholes,
        functions: functions(node, cell, place)?,
        linear_before_reset,
        initial,
    })
}

/// The functions of one direction.
fn functions(node: &Node<'_>, cell: Cell, [i, n]: [usize; 2]) -> Result<Vec<UnaryFn>, Fail> {
    let own = cell.functions();
    let named = node.strings("activations")?;
    let names: Vec<&str> = if named.is_empty() { own.repeat(n) } else { named };
    if names.len() != own.len() * n {
        return Err(Fail::malformed(format!("{} activations for {n} directions", names.len())));
    }
    let alphas = node.floats("activation_alpha")?.unwrap_or_default();
    let betas = node.floats("activation_beta")?.unwrap_or_default();
    let given = |values: &[f32], k: usize, default: f32| values.get(k).copied().unwrap_or(default);
    let start = i * own.len();
    let names = names.iter().enumerate().skip(start).take(own.len());
    names
        .map(|(k, name)| {
            Ok(match name.to_lowercase().as_str() {
                "sigmoid" => UnaryFn::Sigmoid,
                "tanh" => UnaryFn::Tanh,
                "relu" => UnaryFn::Relu,
                "leakyrelu" => UnaryFn::LeakyRelu { alpha: given(alphas, k, 0.01) },
                "elu" => UnaryFn::Elu { alpha: given(alphas, k, 1.0) },
                "hardsigmoid" => {
                    UnaryFn::HardSigmoid { alpha: given(alphas, k, 0.2), beta: given(betas, k, 0.5) }
                }
                "softplus" => UnaryFn::Softplus,
                "softsign" => UnaryFn::Softsign,
                _ => {
                    return Err(Fail::unsupported(
                        format!("has the activation {name}"),
                        "Sigmoid, Tanh, Relu, LeakyRelu, Elu, HardSigmoid, Softplus or Softsign",
                    ));
                }
            })
        })
        .collect()
}

/// Columns `start` to `start + count` of `x` `[rows, columns]`.
fn columns(im: &mut Importer, x: &Held, start: usize, count: usize) -> Result<Held, Fail> {
    let rows = x.dims.first().copied().unwrap_or(1);
    let runs = [Run { start: 0, step: 1, count: rows }, Run { start, step: 1, count }];
    cut_held(im, x.clone(), &runs)
}

/// The hidden states `[steps, batch, hidden]` of `x` `[steps, batch, in]`, and the last hidden and cell state.
fn unrolled(
    im: &mut Importer,
    d: &Direction,
    x: Held,
    prefix: String,
) -> Result<(Held, [Option<Held>; 2]), Fail> {
    let &[steps, batch, _] = x.dims.as_slice() else { return Err(Fail::malformed("rank 3 is expected")) };
    let rows = d.cell.gates() * d.hidden;
    let products = matmul::dense(im, &format!("{prefix}inputs"), x, &d.weight, Some(&d.bias))?;
    let [mut h, mut c] = d.initial.clone();
    let mut shared = Shared::default();
    let mut states = Vec::new();
    for t in 0..steps {
        let part = |what: &str| format!("{prefix}{what}{t}");
        let runs = [(t, 1), (0, batch), (0, rows)].map(|(start, count)| Run { start, step: 1, count });
        let x = cut_held(im, products.clone(), &runs)?;
        let x = reshaped_held(im, x, vec![batch, rows])?;
        let (new_h, new_c) = match d.cell {
            Cell::Rnn => {
                let sum = shared.plus_product(im, &part("sum"), 0, x, h.as_ref(), &d.recurrent)?;
                (function(im, &part("h"), d, 0, &sum)?, None)
            }
            Cell::Gru => (gru(im, d, &mut shared, &part, x, h.as_ref())?, None),
            Cell::Lstm => {
                let (h, c) = lstm(im, d, &mut shared, &part, x, h.as_ref(), c.as_ref())?;
                (h, Some(c))
            }
        };
        states.push(Item::Held(reshaped_held(im, new_h.clone(), vec![1, batch, d.hidden])?));
        (h, c) = (Some(new_h), new_c);
    }
    let all = join(im, states, 0, vec![steps, batch, d.hidden])?;
    Ok((all, [h, c]))
}

fn function(im: &mut Importer, part: &str, d: &Direction, i: usize, x: &Held) -> Result<Held, Fail> {
    let function = d.functions.get(i).copied().unwrap_or(UnaryFn::Tanh);
    unary::apply(im, part, function, x)
}

/// One step of a GRU: gates update, reset, hidden.
fn gru(
    im: &mut Importer,
    d: &Direction,
    shared: &mut Shared,
    part: &dyn Fn(&str) -> String,
    x: Held,
    h: Option<&Held>,
) -> Result<Held, Fail> {
    let n = d.hidden;
    let split = |c: &Constant, start: usize, count: usize| {
        let rows = c.dims.first().copied().unwrap_or(0);
        let width = c.dims.last().copied().unwrap_or(1);
        c.pick(vec![rows, count], (0..rows).flat_map(move |r| (0..count).map(move |k| r * width + start + k)))
    };
    let gates = columns(im, &x, 0, 2 * n)?;
    let gates = shared.plus_product(im, &part("gates"), 0, gates, h, &split(&d.recurrent, 0, 2 * n))?;
    let gates = function(im, &part("zr"), d, 0, &gates)?;
    let (update, reset) = (columns(im, &gates, 0, n)?, columns(im, &gates, n, n)?);
    let candidate = columns(im, &x, 2 * n, n)?;
    let inner = split(&d.recurrent, 2 * n, n);
    let candidate = if d.linear_before_reset {
        let product = match h {
            Some(h) => shared.product(im, &part("inner"), 1, h.clone(), &inner, Some(&d.inner_bias))?,
            None => {
                let rows = Constant::floats(vec![1, n], d.inner_bias.to_floats());
                let bias = im.hold(Item::constant(rows))?;
                super::shape::expanded(im, bias, &candidate.dims)?
            }
        };
        let scaled = binary::held(im, &part("reset"), BinaryFn::Mul, &product, &reset)?;
        binary::held(im, &part("sum"), BinaryFn::Add, &candidate, &scaled)?
    } else {
        match h {
            Some(h) => {
                let scaled = binary::held(im, &part("reset"), BinaryFn::Mul, &reset, h)?;
                shared.plus_product(im, &part("sum"), 1, candidate, Some(&scaled), &inner)?
            }
            None => candidate,
        }
    };
    let candidate = function(im, &part("candidate"), d, 1, &candidate)?;
    // (1 - z) c + z h = c + z (h - c).
    match h {
        Some(h) => {
            let change = binary::held(im, &part("change"), BinaryFn::Sub, h, &candidate)?;
            let change = binary::held(im, &part("update"), BinaryFn::Mul, &update, &change)?;
            binary::held(im, &part("h"), BinaryFn::Add, &candidate, &change)
        }
        None => {
            let kept = binary::held(im, &part("update"), BinaryFn::Mul, &update, &candidate)?;
            binary::held(im, &part("h"), BinaryFn::Sub, &candidate, &kept)
        }
    }
}

/// One step of an LSTM: gates input, output, forget, cell. Returns hidden and cell state.
fn lstm(
    im: &mut Importer,
    d: &Direction,
    shared: &mut Shared,
    part: &dyn Fn(&str) -> String,
    x: Held,
    h: Option<&Held>,
    c: Option<&Held>,
) -> Result<(Held, Held), Fail> {
    let n = d.hidden;
    let gates = shared.plus_product(im, &part("gates"), 0, x, h, &d.recurrent)?;
    let peep = |im: &mut Importer, name: &str, k: usize, gate: Held, c: Option<&Held>| match (&d.peepholes, c)
    {
        (Some(weights), Some(c)) => {
            let weight = weights.get(k).cloned().ok_or_else(|| Fail::malformed("a peephole is missing"))?;
            let seen = binary::apply(
                im,
                &part(&format!("{name}.peep")),
                BinaryFn::Mul,
                Item::Held(c.clone()),
                Item::constant(weight),
            )?;
            binary::held(im, &part(&format!("{name}.sum")), BinaryFn::Add, &gate, &seen)
        }
        _ => Ok(gate),
    };
    let input = columns(im, &gates, 0, n)?;
    let input = peep(im, "i", 0, input, c)?;
    let input = function(im, &part("i"), d, 0, &input)?;
    let candidate = columns(im, &gates, 3 * n, n)?;
    let candidate = function(im, &part("g"), d, 1, &candidate)?;
    let mut cell = binary::held(im, &part("new"), BinaryFn::Mul, &input, &candidate)?;
    if let Some(c) = c {
        let forget = columns(im, &gates, 2 * n, n)?;
        let forget = peep(im, "f", 2, forget, Some(c))?;
        let forget = function(im, &part("f"), d, 0, &forget)?;
        let kept = binary::held(im, &part("kept"), BinaryFn::Mul, &forget, c)?;
        cell = binary::held(im, &part("c"), BinaryFn::Add, &kept, &cell)?;
    }
    let output = columns(im, &gates, n, n)?;
    let output = peep(im, "o", 1, output, Some(&cell))?;
    let output = function(im, &part("o"), d, 0, &output)?;
    let seen = function(im, &part("seen"), d, 2, &cell)?;
    let hidden = binary::held(im, &part("h"), BinaryFn::Mul, &output, &seen)?;
    Ok((hidden, cell))
}

/// Parameters that all steps share, by which product of the step they belong to.
#[derive(Default)]
struct Shared {
    params: Vec<(usize, Vec<ParamId>)>,
}

impl Shared {
    /// `x` times `weight`, plus a bias; the parameters of the first step serve all.
    fn product(
        &mut self,
        im: &mut Importer,
        part: &str,
        which: usize,
        x: Held,
        weight: &Constant,
        bias: Option<&Constant>,
    ) -> Result<Held, Fail> {
        let y = matmul::dense(im, part, x, weight, bias)?;
        match self.params.iter().find(|(known, _)| *known == which) {
            Some((_, ids)) => im.share_params(ids),
            None => self.params.push((which, im.last_params())),
        }
        Ok(Held { kind: Kind::Real, ..y })
    }

    /// `x` plus `h` times `weight`; `x` alone where `h` is zero.
    fn plus_product(
        &mut self,
        im: &mut Importer,
        part: &str,
        which: usize,
        x: Held,
        h: Option<&Held>,
        weight: &Constant,
    ) -> Result<Held, Fail> {
        let Some(h) = h else { return Ok(x) };
        let product = self.product(im, &format!("{part}.product"), which, h.clone(), weight, None)?;
        binary::held(im, part, BinaryFn::Add, &x, &product)
    }
}
