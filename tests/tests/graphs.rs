//! Graphs: lists of indices in a session, and that the order of nodes and edges changes no bit.

use dunlin::ops::{Aggregation, NO_ROW};
use dunlin::{AlignedVec, IsaKind, Model, Session, SessionError};
use dunlin_tests::draw::Draw;
use dunlin_tests::host::Tables;
use dunlin_tests::passing::{self, Graph, moved, rows};

const AGGREGATIONS: [Aggregation; 3] = [Aggregation::Sum, Aggregation::Mean, Aggregation::Max];
/// Bounds of the session's tests, with the inputs `from` and `to` after nodes and edges.
const BOUNDS: [u32; 2] = [5, 9];
const FROM: usize = 2;
const TO: usize = 3;

/// A network of one step, and a graph of so many nodes and edges.
fn with_model<R>(counts: [u32; 2], body: impl FnOnce(&Model<'_>, Graph) -> R) -> R {
    let file = passing::model(BOUNDS, 1, Aggregation::Sum);
    let mut tables = Tables::new();
    let model = Model::parse(file.as_slice(), &mut tables).unwrap();
    body(&model, Graph::draw(&mut Draw::seeded(3), counts))
}

fn arena(model: &Model<'_>) -> AlignedVec {
    AlignedVec::zeroed(model.arena_bytes())
}

fn set_counts(session: &mut Session<'_, '_>, counts: &[u32]) {
    counts.iter().enumerate().for_each(|(dim, &count)| session.set_len(dim, count).unwrap());
}

/// Gives the rows and no list; outputs after the run.
fn run_rows(session: &mut Session<'_, '_>, graph: &Graph) -> Vec<Vec<u8>> {
    for (input, bytes) in graph.inputs().iter().enumerate().take(FROM) {
        session.set_input_bytes(input, bytes).unwrap();
    }
    session.run();
    [0, 1].map(|output| session.output_bytes(output).unwrap().to_vec()).to_vec()
}

fn give_lists(session: &mut Session<'_, '_>, graph: &Graph) {
    session.set_indices(FROM, &graph.from).unwrap();
    session.set_indices(TO, &graph.to).unwrap();
}

/// The same graph, with edges that lead nowhere.
fn void(graph: &Graph) -> Graph {
    let none = vec![NO_ROW; graph.from.len()];
    Graph { from: none.clone(), to: none, ..graph.clone() }
}

fn expected(model: &Model<'_>, graph: &Graph) -> Vec<Vec<u8>> {
    passing::run(model, graph, IsaKind::native()).unwrap()
}

#[test]
fn wrong_lists_are_errors() {
    with_model([4, 7], |model, graph| {
        let mut arena = arena(model);
        let mut session = Session::new(model, arena.as_mut_slice()).unwrap();
        let no_list = SessionError::NoIndexList { found: dunlin::format::DType::I8 };
        for input in [0, 1] {
            assert_eq!(session.set_indices(input, &[0; 5]), Err(no_list));
        }
        assert_eq!(session.set_indices(4, &[]), Err(SessionError::NoSuch { index: 4, count: 4 }));
        let length = |found, expected| Err(SessionError::Length { found, expected });
        let (full, nothing) = ([0; BOUNDS[1] as usize], []);
        assert_eq!(session.set_indices(FROM, &full[1..]), length(8, 9));
        assert_eq!(session.set_indices(FROM, &[0; 10]), length(10, 9));
        assert_eq!(session.set_indices(TO, &nothing), length(0, 9));
        assert_eq!(session.set_input_bytes(TO, &[0; 17]), length(17, 18));
        assert_eq!(session.set_indices(FROM, &full), Ok(()));
        let beyond = |at, index, rows| Err(SessionError::Index { at, index, rows });
        let with = |at: usize, index| {
            let mut list = full;
            list[at] = index;
            list
        };
        assert_eq!(session.set_indices(FROM, &with(8, 4)), Ok(()));
        assert_eq!(session.set_indices(FROM, &with(8, 5)), beyond(8, 5, 5));
        assert_eq!(session.set_indices(FROM, &with(2, NO_ROW - 1)), beyond(2, NO_ROW - 1, 5));
        assert_eq!(session.set_indices(FROM, &with(0, NO_ROW)), Ok(()));
        let bytes: Vec<u8> = with(3, 7).iter().flat_map(|i| i.to_le_bytes()).collect();
        assert_eq!(session.set_input_bytes(FROM, &bytes), beyond(3, 7, 5));
        // What counts is the count, not the bound.
        set_counts(&mut session, &graph.counts());
        assert_eq!(session.set_indices(TO, &full), length(9, 7));
        assert_eq!(session.set_indices(TO, &with(1, 4)[..7]), beyond(1, 4, 4));
        set_counts(&mut session, &[0, 2]);
        assert_eq!(session.set_indices(TO, &[NO_ROW; 2]), Ok(()));
        assert_eq!(session.set_indices(TO, &[NO_ROW, 0]), beyond(1, 0, 0));
        set_counts(&mut session, &[3, 0]);
        assert_eq!(session.set_indices(TO, &nothing), Ok(()));
        assert_eq!(session.set_indices(TO, &[0]), length(1, 0));
    });
}

#[test]
fn a_list_is_written_by_nothing_but_its_own_function() {
    with_model(BOUNDS, |model, _| {
        let mut arena = arena(model);
        let mut session = Session::new(model, arena.as_mut_slice()).unwrap();
        for input in [FROM, TO] {
            assert_eq!(session.input_bytes_mut(input).err(), Some(SessionError::IndexList));
            let wrong = SessionError::WrongType { found: dunlin::format::DType::U16 };
            assert_eq!(session.input_mut::<i16>(input).err(), Some(wrong));
            assert_eq!(session.input_mut::<u8>(input).err(), Some(wrong));
        }
    });
}

#[test]
fn a_refused_list_is_void() {
    with_model([4, 7], |model, graph| {
        let mut arena = arena(model);
        let mut session = Session::new(model, arena.as_mut_slice()).unwrap();
        let nowhere = expected(model, &void(&graph));
        let mut last = graph.to.clone();
        last[6] = 4;
        for list in [&graph.to[..6], &last] {
            set_counts(&mut session, &graph.counts());
            give_lists(&mut session, &graph);
            assert_ne!(run_rows(&mut session, &graph), nowhere);
            session.set_indices(FROM, &void(&graph).from).unwrap();
            assert!(session.set_indices(TO, list).is_err());
            assert_eq!(run_rows(&mut session, &graph), nowhere);
        }
    });
}

#[test]
fn a_run_without_lists_sees_no_edge_and_a_new_count_forgets_them() {
    with_model([4, 7], |model, graph| {
        let (found, nowhere) = (expected(model, &graph), expected(model, &void(&graph)));
        assert_ne!(found, nowhere);
        for poison in [0x00, 0x5a, 0xff] {
            let mut arena = arena(model);
            arena.as_mut_slice().fill(poison);
            let mut session = Session::new(model, arena.as_mut_slice()).unwrap();
            set_counts(&mut session, &graph.counts());
            assert_eq!(run_rows(&mut session, &graph), nowhere);
            // A count of either dimension, also the one that was set.
            for (dim, &count) in graph.counts().iter().enumerate() {
                give_lists(&mut session, &graph);
                assert_eq!(run_rows(&mut session, &graph), found);
                session.set_len(dim, count).unwrap();
                assert_eq!(run_rows(&mut session, &graph), nowhere, "dimension {dim}");
            }
            // A count that is refused changes nothing.
            give_lists(&mut session, &graph);
            assert!(session.set_len(0, BOUNDS[0] + 1).is_err() && session.set_len(2, 0).is_err());
            assert_eq!(run_rows(&mut session, &graph), found);
        }
    });
}

#[test]
fn lists_outlive_runs_and_a_reset() {
    with_model([4, 7], |model, graph| {
        let found = expected(model, &graph);
        let mut arena = arena(model);
        let mut session = Session::new(model, arena.as_mut_slice()).unwrap();
        set_counts(&mut session, &graph.counts());
        give_lists(&mut session, &graph);
        for _ in 0..3 {
            assert_eq!(run_rows(&mut session, &graph), found);
            session.reset_state();
        }
        // Each list by itself.
        session.set_indices(TO, &void(&graph).to).unwrap();
        let only_from = Graph { to: void(&graph).to, ..graph.clone() };
        assert_eq!(run_rows(&mut session, &graph), expected(model, &only_from));
        assert_ne!(expected(model, &only_from), expected(model, &void(&graph)));
    });
}

#[test]
fn a_session_does_not_find_the_lists_of_the_one_before() {
    with_model(BOUNDS, |model, graph| {
        let (found, nowhere) = (expected(model, &graph), expected(model, &void(&graph)));
        let mut arena = arena(model);
        for _ in 0..2 {
            let mut session = Session::new(model, arena.as_mut_slice()).unwrap();
            assert_eq!(run_rows(&mut session, &graph), nowhere);
            give_lists(&mut session, &graph);
            assert_eq!(run_rows(&mut session, &graph), found);
        }
    });
}

#[test]
fn graphs_without_nodes_or_edges_have_results() {
    with_model(BOUNDS, |model, _| {
        for counts in [[0, 0], [0, 9], [1, 0], [5, 0], [1, 9]] {
            let graph = Graph::draw(&mut Draw::seeded(8), counts);
            let [nodes, edges] = counts.map(|count| count as usize);
            for isa in IsaKind::ALL.into_iter().filter(|isa| isa.is_available()) {
                let outputs = passing::run(model, &graph, isa).unwrap();
                let lengths: Vec<_> = outputs.iter().map(|output| rows(output).len()).collect();
                assert_eq!(lengths, [nodes, edges]);
                assert_eq!(outputs, expected(model, &graph), "{}", isa.name());
            }
        }
    });
}

#[test]
fn the_order_of_nodes_and_edges_changes_no_bit() {
    let mut differing = 0;
    for aggregation in AGGREGATIONS {
        let file = passing::model([12, 40], 2, aggregation);
        let mut tables = Tables::new();
        let model = Model::parse(file.as_slice(), &mut tables).unwrap();
        for seed in 0..60 {
            let mut draw = Draw::seeded(seed);
            let graph = Graph::draw(&mut draw, [draw_count(seed, 12), draw_count(seed / 3, 40)]);
            let [nodes, edges] = [graph.nodes.len(), graph.edges.len()].map(|n| draw.order(n));
            let permuted = graph.permuted(&nodes, &edges);
            for isa in IsaKind::ALL.into_iter().filter(|isa| isa.is_available()) {
                let plain = passing::run(&model, &graph, isa).unwrap();
                let other = passing::run(&model, &permuted, isa).unwrap();
                let name = format!("{aggregation:?}, graph {seed}, {}", isa.name());
                assert_eq!(moved(&rows(&plain[0]), &nodes), rows(&other[0]), "{name}: nodes");
                assert_eq!(moved(&rows(&plain[1]), &edges), rows(&other[1]), "{name}: edges");
                differing += usize::from(plain != other);
            }
        }
    }
    assert!(differing > 100, "only {differing} graphs were changed by their permutation");
}

/// Counts from 0 to `bound`, the bound often.
fn draw_count(seed: u64, bound: u32) -> u32 {
    if seed.is_multiple_of(4) { bound } else { (seed as u32 * 7) % (bound + 1) }
}
