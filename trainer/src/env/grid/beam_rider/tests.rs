//! Each rule of Beam Rider that pays, ends or ramps, on a board set by hand.

use super::*;

/// The ship on beam 2; nothing comes.
fn game() -> BeamRider {
    BeamRider { until_saucer: 1000, until_meteor: 1000, ..BeamRider::new(true) }
}

fn faller(row: usize, beam: usize, wait: u32) -> Faller {
    Faller { row, beam, wait }
}

fn cell(row: usize, column: usize) -> Board {
    Board::block(row..row + 1, column..column + 1)
}

fn frame(game: &mut BeamRider, action: Move) -> Frame {
    game.frame(action, &mut Dice::new(0))
}

#[test]
fn laser_and_torpedo_pay_one_for_a_saucer() {
    for weapon in [Move::Fire, Move::Up] {
        let mut board = game();
        board.saucers.push(faller(7, 2, 100));
        assert_eq!(frame(&mut board, weapon), Frame::default());
        assert_eq!(frame(&mut board, Move::Noop), Frame { reward: 1, over: false });
        assert!(board.saucers.is_empty() && board.lasers.is_empty() && board.torpedoes.is_empty());
        assert_eq!(board.shot, 1);
    }
}

#[test]
fn what_comes_down_does_not_pass_through_a_shot() {
    let mut board = game();
    board.saucers.push(faller(7, 2, 1));
    assert_eq!(frame(&mut board, Move::Fire).reward, 1);
}

#[test]
fn only_a_torpedo_removes_meteors_and_bombs() {
    let mut board = game();
    board.meteors.push(faller(7, 2, 100));
    frame(&mut board, Move::Fire);
    assert_eq!(frame(&mut board, Move::Noop), Frame::default());
    assert!(board.lasers.is_empty() && board.meteors.len() == 1);
    let mut board = game();
    board.meteors.push(faller(7, 2, 100));
    frame(&mut board, Move::Up);
    assert_eq!(frame(&mut board, Move::Noop), Frame { reward: 1, over: false });
    assert_eq!((board.meteors.len(), board.shot), (0, 0));
    for (weapon, left) in [(Move::Fire, 1), (Move::Up, 0)] {
        let mut board = game();
        board.bombs = cell(7, 4);
        assert_eq!(frame(&mut board, weapon), Frame::default());
        assert_eq!(board.bombs.count(), left);
    }
}

#[test]
fn lasers_cool_down_and_torpedoes_run_out() {
    let shots = |weapon: Move| -> Vec<usize> {
        let mut board = game();
        (0..20)
            .filter(|_| {
                frame(&mut board, weapon);
                board.lasers.has(8, 4) || board.torpedoes.has(8, 4)
            })
            .collect()
    };
    assert_eq!(shots(Move::Fire), [0, 5, 10, 15]);
    assert_eq!(shots(Move::Up), [0, 5, 10]);
}

#[test]
fn saucers_bombs_and_meteors_end_the_game() {
    let mut board = game();
    board.bombs = cell(8, 4);
    assert!(frame(&mut board, Move::Noop).over);
    let mut board = game();
    board.bombs = cell(8, 4);
    assert!(!frame(&mut board, Move::Left).over);
    let mut board = game();
    board.saucers.push(faller(8, 2, 1));
    assert!(frame(&mut board, Move::Noop).over);
    let mut board = game();
    board.meteors.push(faller(9, 3, 2));
    assert!(frame(&mut board, Move::Right).over);
}

#[test]
fn fifteen_saucers_bring_the_sentinel_and_it_the_next_sector() {
    let mut board = BeamRider { shot: 14, torpedoes_left: 1, ..game() };
    board.saucers.push(faller(7, 2, 1));
    assert!(board.sentinel.is_none());
    assert_eq!(frame(&mut board, Move::Fire).reward, 1);
    assert_eq!(board.sentinel, Some((0, SENTINEL_PACE)));
    // It crosses nine columns and leaves.
    let frames = (1..).find(|_| {
        board.until_saucer = 0;
        let paid = frame(&mut board, Move::Noop);
        assert_eq!(paid, Frame::default());
        assert!(board.saucers.is_empty());
        board.sentinel.is_none()
    });
    assert_eq!(frames, Some(36));
    assert_eq!((board.sector, board.shot, board.torpedoes_left), (1, 0, 3));
}

#[test]
fn a_torpedo_that_meets_the_sentinel_pays_five() {
    let mut board = BeamRider { sentinel: Some((4, 3)), torpedoes: cell(1, 4), lasers: cell(1, 4), ..game() };
    assert_eq!(frame(&mut board, Move::Noop), Frame { reward: 5, over: false });
    assert_eq!((board.sentinel, board.sector), (None, 1));
    let mut board = BeamRider { sentinel: Some((4, 3)), lasers: cell(1, 4), ..game() };
    assert_eq!(frame(&mut board, Move::Noop), Frame::default());
    assert!(board.sentinel.is_some());
}

#[test]
fn sectors_get_harder_with_the_ramp_only() {
    let interval = |ramp: bool, sector: u32| {
        let mut board = BeamRider { ramp, sector, until_saucer: 0, ..game() };
        board.spawn(&mut Dice::new(0));
        (board.until_saucer, board.pace())
    };
    assert_eq!(
        [0, 1, 2, 4, 6, 20].map(|sector| interval(true, sector)),
        [(12, 4), (11, 4), (10, 3), (8, 2), (6, 2), (6, 2)]
    );
    assert_eq!(interval(false, 20), (12, 4));
}

#[test]
fn meteors_come_from_the_second_sector_on() {
    for (sector, meteors) in [(0, 0), (1, 1)] {
        let mut board = BeamRider { sector, until_meteor: 0, ..game() };
        frame(&mut board, Move::Noop);
        assert_eq!(board.meteors.len(), meteors);
        frame(&mut board, Move::Noop);
        assert!(board.meteors.iter().all(|meteor| meteor.row == 1));
    }
}

#[test]
fn saucers_change_beams_and_drop_bombs_high_up_only() {
    let mut dice = Dice::new(8);
    let (mut changed, mut bombs) = (0, 0);
    for row in 0..SIDE - 1 {
        for _ in 0..300 {
            let mut board = game();
            board.saucers.push(faller(row, 2, 1));
            board.move_saucers(&mut dice);
            let moved = board.saucers[0].beam != 2;
            assert_eq!(board.saucers[0].row, row + 1);
            assert!(row < UPPER || !moved && board.bombs.is_empty());
            changed += u32::from(moved);
            bombs += board.bombs.count();
        }
    }
    // Of 1500: a half and a third, to five standard deviations.
    assert!((653..847).contains(&changed) && (404..586).contains(&bombs), "{changed} {bombs}");
}

#[test]
fn saucers_and_meteors_leave_below_the_bottom() {
    let mut board = game();
    board.saucers.push(faller(9, 0, 1));
    board.meteors.push(faller(9, 1, 1));
    assert_eq!(frame(&mut board, Move::Noop), Frame::default());
    assert!(board.saucers.is_empty() && board.meteors.is_empty());
}
