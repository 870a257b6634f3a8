//! Each rule of Seaquest that pays, ends or ramps, on a board set by hand.

use super::*;

/// The submarine at row 4, column 5, facing left; nothing comes.
fn game() -> Seaquest {
    Seaquest { row: 4, at_surface: false, until_enemy: 1000, until_diver: 1000, ..Seaquest::new(true) }
}

fn swimmer(row: i8, column: i8, rightwards: bool, wait: u32) -> Swimmer {
    Swimmer { row, column, rightwards, wait, until_shot: None }
}

fn frame(game: &mut Seaquest, action: Move) -> Frame {
    game.frame(action, &mut Dice::new(0))
}

#[test]
fn a_bullet_pays_one_for_fish_and_for_submarines() {
    for shoots in [false, true] {
        let mut board = game();
        let enemy = swimmer(4, 2, true, 100);
        if shoots {
            board.subs.push(enemy)
        } else {
            board.fish.push(enemy)
        }
        assert_eq!(frame(&mut board, Move::Fire).reward, 0);
        assert_eq!(frame(&mut board, Move::Noop).reward, 0);
        assert_eq!(frame(&mut board, Move::Noop), Frame { reward: 1, over: false });
        assert!(board.fish.is_empty() && board.subs.is_empty() && board.bullets.is_empty());
    }
}

#[test]
fn an_enemy_that_swims_into_a_bullet_pays_one() {
    for shoots in [false, true] {
        let mut board = game();
        let enemy = swimmer(4, 3, true, 0);
        if shoots {
            board.subs.push(enemy)
        } else {
            board.fish.push(enemy)
        }
        assert_eq!(frame(&mut board, Move::Fire), Frame { reward: 1, over: false });
        assert!(board.bullets.is_empty() && board.fish.is_empty() && board.subs.is_empty());
    }
}

#[test]
fn bullets_go_where_the_submarine_faces_every_five_frames() {
    let mut board = game();
    frame(&mut board, Move::Right);
    let shots: Vec<usize> = (0..11)
        .filter(|_| {
            frame(&mut board, Move::Fire);
            board.bullets.iter().any(|bullet| bullet.at() == (4, 7))
        })
        .collect();
    assert_eq!(shots, [0, 5, 10]);
}

#[test]
fn enemies_and_their_bullets_end_the_game() {
    for (column, wait, over) in [(5, 9, true), (4, 0, true), (4, 1, false)] {
        let mut board = game();
        board.fish.push(swimmer(4, column, true, wait));
        assert_eq!(frame(&mut board, Move::Noop).over, over);
        let mut board = game();
        board.subs.push(swimmer(4, column, true, wait));
        assert_eq!(frame(&mut board, Move::Noop).over, over);
    }
    let mut board = game();
    board.enemy_bullets.push(bullet(4, 3, true));
    assert!(!frame(&mut board, Move::Noop).over);
    assert!(frame(&mut board, Move::Noop).over);
    // The back of the submarine is safe.
    let mut board = game();
    board.fish.push(swimmer(4, 6, false, 9));
    assert!(!frame(&mut board, Move::Noop).over);
}

#[test]
fn enemy_submarines_shoot_every_eleven_frames() {
    let mut board = game();
    board.subs.push(Swimmer { until_shot: Some(SHOT_WAIT), ..swimmer(7, 0, true, 1000) });
    let shots: Vec<usize> = (0..33)
        .filter(|_| {
            frame(&mut board, Move::Noop);
            board.enemy_bullets.iter().any(|bullet| bullet.at() == (7, 1))
        })
        .collect();
    assert_eq!(shots, [10, 21, 32]);
}

#[test]
fn divers_are_taken_six_at_most() {
    let mut board = game();
    board.divers_aboard = 5;
    board.divers = vec![swimmer(4, 5, true, 9), swimmer(4, 4, true, 0)];
    // The one that is there is taken; the one that comes finds no place.
    frame(&mut board, Move::Noop);
    assert_eq!(board.divers_aboard, 6);
    assert_eq!(board.divers, [swimmer(4, 5, true, DIVER_WAIT)]);
    board.divers_aboard = 5;
    frame(&mut board, Move::Noop);
    assert_eq!((board.divers_aboard, board.divers.len()), (6, 0));
    // One that swims to the submarine is taken too.
    let mut board = game();
    board.divers.push(swimmer(4, 6, false, 0));
    frame(&mut board, Move::Noop);
    assert_eq!((board.divers_aboard, board.divers.len()), (1, 0));
}

#[test]
fn surfacing_needs_a_diver_and_costs_one() {
    let surface = |divers_aboard| {
        let mut board = Seaquest { row: 1, oxygen: 105, divers_aboard, ..game() };
        (frame(&mut board, Move::Up), board)
    };
    assert_eq!(surface(0).0, Frame { reward: 0, over: true });
    let (paid, mut board) = surface(1);
    assert_eq!(paid, Frame::default());
    assert_eq!((board.divers_aboard, board.oxygen), (0, OXYGEN));
    // Staying there costs nothing.
    assert_eq!(frame(&mut board, Move::Noop), Frame::default());
    let (paid, board) = surface(6);
    assert_eq!(paid, Frame { reward: 5, over: false });
    assert_eq!((board.divers_aboard, board.oxygen), (0, OXYGEN));
}

#[test]
fn the_game_ends_without_oxygen() {
    let mut board = Seaquest { oxygen: 1, ..game() };
    let over: Vec<bool> = (0..3).map(|_| frame(&mut board, Move::Noop).over).collect();
    assert_eq!(over, [false, false, true]);
}

#[test]
fn surfacing_makes_it_harder() {
    let after = |ramp: bool, times: usize| {
        let mut board = Seaquest { ramp, ..game() };
        for _ in 0..times {
            board.divers_aboard = 1;
            board.surface();
        }
        (board.spawn_interval, board.enemy_wait)
    };
    assert_eq!([1, 2, 3, 4].map(|times| after(true, times)), [(19, 5), (18, 4), (17, 4), (16, 3)]);
    assert_eq!(after(true, 30), (1, 2));
    assert_eq!(after(false, 30), (20, 5));
}

#[test]
fn enemies_and_divers_come_in_at_their_intervals() {
    let mut board = Seaquest::new(true);
    let mut dice = Dice::new(4);
    let (mut enemies, mut divers, mut before) = (Vec::new(), Vec::new(), (0, 0));
    for frame in 0..400 {
        board.frame(Move::Noop, &mut dice);
        board.enemy_bullets.clear();
        let now = (board.fish.len() + board.subs.len(), board.divers.len());
        if now.0 > before.0 {
            enemies.push(frame);
        }
        if now.1 > before.1 {
            divers.push(frame);
        }
        before = now;
    }
    assert!(enemies.len() > 4 && enemies.iter().all(|frame| frame % 20 == 0), "{enemies:?}");
    assert!(divers.len() > 4 && divers.iter().all(|frame| frame % 30 == 0), "{divers:?}");
    let rows = board.fish.iter().chain(&board.subs).chain(&board.divers);
    assert!(rows.clone().count() > 0 && rows.into_iter().all(|s| (1..=8).contains(&s.row)));
}

#[test]
fn no_enemy_comes_against_another() {
    let mut dice = Dice::new(2);
    let mut board = game();
    for _ in 0..1000 {
        board.spawn_enemy(&mut dice);
    }
    for row in 1..=8 {
        let mut ways: Vec<bool> =
            board.fish.iter().chain(&board.subs).filter(|s| s.row == row).map(|s| s.rightwards).collect();
        ways.dedup();
        assert_eq!(ways.len(), 1);
    }
    let (subs, all) = (board.subs.len() as f64, (board.subs.len() + board.fish.len()) as f64);
    assert!((subs / all - 1.0 / 3.0).abs() < 0.1, "{subs} of {all}");
}
