//! The pictures of the README, made of what the program prints.
//!
//! `make pictures` draws them anew; look at them before committing.

#![expect(
    clippy::unwrap_used,
    reason = "a test; what it reads is in the repository"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anstyle::RgbColor;
use anstyle_svg::{Palette, Term};
use kubectl_ambient::checks::{Scope, all, judge};
use kubectl_ambient::inventory::{Input, InventoryBuilder};
use kubectl_ambient::kinds::Name;
use kubectl_ambient::mesh::Mesh;
use kubectl_ambient::plan::{Accepted, Ground, obstacles, plan};
use kubectl_ambient::render::{self, Style};
use kubectl_ambient::report::plan::PlanEntry;
use kubectl_ambient::translate::{Decision, Options, translate};

/// The mesh of the picture of a plan: one Service behind a policy that reads requests.
const SHOP: &str = "tests/cmd/data/formats/cart.yaml";

const BACKGROUND: RgbColor = RgbColor(0x16, 0x1b, 0x22);
const TEXT: RgbColor = RgbColor(0xe6, 0xed, 0xf3);

/// The sixteen colours of a terminal, told apart on the background, whatever that of the page is.
const COLORS: [RgbColor; 16] = {
    let black = RgbColor(0x48, 0x4f, 0x58);
    let red = RgbColor(0xff, 0x7b, 0x72);
    let green = RgbColor(0x7e, 0xe7, 0x87);
    let yellow = RgbColor(0xe3, 0xb3, 0x41);
    let blue = RgbColor(0x79, 0xc0, 0xff);
    let magenta = RgbColor(0xd2, 0xa8, 0xff);
    let cyan = RgbColor(0x56, 0xd4, 0xdd);
    [
        black, red, green, yellow, blue, magenta, cyan, TEXT, black, red, green, yellow, blue,
        magenta, cyan, TEXT,
    ]
};

/// A picture of what somebody typed and was told.
fn drawn(typed: &str, told: &str) -> String {
    let term = Term::new()
        .palette(Palette(COLORS))
        .bg_color(BACKGROUND.into())
        .fg_color(TEXT.into());
    term.render_svg(&format!("$ {typed}\n{}\n", told.trim_end()))
}

/// Compares a picture with what it must be, or draws it.
fn hold(name: &str, picture: &str) {
    let path = Path::new("docs/pictures").join(name);
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        fs::create_dir_all("docs/pictures").unwrap();
        fs::write(&path, picture).unwrap();
    }
    let present = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        present.replace("\r\n", "\n") == picture,
        "{name} is stale; `make pictures` draws it"
    );
    assert!(picture.len() < 24 * 1024, "{name} is too large");
}

#[test]
fn the_picture_of_a_check_is_what_it_prints() {
    let words = "check -f examples/wealist --checks AMB223,AMB305,AMB401,AMB418";
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-ambient"))
        .args(words.split(' '))
        .args(["--color", "always"])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    hold(
        "check.svg",
        &drawn(&format!("kubectl ambient {words}"), &told),
    );
}

#[test]
fn the_picture_of_a_plan_is_what_is_shown_before_a_move() {
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file(SHOP, fs::read_to_string(SHOP).unwrap());
    let mesh = Mesh::new(builder.finish());
    let shop = Name::from("shop");
    let options = Options {
        guard: Some(kubectl_ambient::translate::options::Guard::Closed),
        ..Options::default()
    };
    let translation = translate(&mesh, &BTreeSet::from([shop.clone()]), &options);
    let decision = Decision::new(&translation, &options, &mesh);
    let ground = Ground {
        mesh: &mesh,
        namespace: &shop,
        decision: &decision,
        guarded: true,
        deferred: &options.deferred,
        delete_bare_pods: false,
    };
    let (steps, mut past) = plan(&ground);
    let judgement = judge(
        &mesh,
        &Scope::of([shop.clone()]),
        &all().collect::<Vec<_>>(),
        false,
    );
    past.extend(obstacles(
        &mesh,
        &shop,
        &judgement,
        &decision,
        &Accepted::new(),
    ));
    let style = Style {
        color: true,
        ascii: false,
        width: 100,
        headers: true,
        program: "kubectl ambient".to_owned(),
    };
    let told = render::plan(&PlanEntry::new(&steps, &past), &style);
    let typed = "kubectl ambient convert -n shop --apply --guard closed";
    hold("plan.svg", &drawn(typed, &told));
}
