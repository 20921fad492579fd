//! Plans and their comments.

use crate::forge::{Forge, SELF};
use crate::support::{Place, can_run};

/// Both of them, with the method that edits a comment.
async fn forges() -> Vec<(Forge, Place, &'static str)> {
    let (github, gitlab) = (Forge::start().await, Forge::start().await);
    let on_github = Place::on_github(&github.url);
    let on_gitlab = Place::on_gitlab(&gitlab.url);
    vec![(github, on_github, "PATCH"), (gitlab, on_gitlab, "PUT")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_comment_is_edited_in_place_also_when_there_are_no_changes_any_more() {
    if !can_run() {
        return;
    }
    for (forge, mut place, edit) in forges().await {
        place.set("STUB_plan", "2");
        place.set("STUB_TEXT", "one key to create, \"quoted\" & `so on` \\n");
        place.run("plan").ends(0).says("there are changes");
        place.run("comment").ends(0).says("commented on #7");
        assert_eq!(forge.own(), ["<!-- gridkey:plan -->\n### one key to create, \"quoted\" & `so on` \\n\n"]);

        place.set("STUB_plan", "0");
        place.set("STUB_TEXT", "No changes");
        place.run("plan").ends(0).says("no changes");
        place.run("comment").ends(0).says("comment 1000 of #7 is up to date");
        assert_eq!(forge.own(), ["<!-- gridkey:plan -->\n### No changes\n"]);
        let edits = forge.requests().into_iter().filter(|line| line.starts_with(edit)).count();
        assert_eq!(edits, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_plan_fails_and_can_still_be_commented() {
    if !can_run() {
        return;
    }
    for (forge, mut place, _) in forges().await {
        place.set("STUB_plan", "3");
        place.set("STUB_TEXT", "blocked by max_deletions");
        place.run("plan").ends(3).says("the plan is blocked");
        place.run("comment").ends(0);
        assert_eq!(forge.own(), ["<!-- gridkey:plan -->\n### blocked by max_deletions\n"]);
        assert!(place.read("outputs").contains("exit-code=3\nchanges=true\nblocked=true\n"));
        assert!(place.read("summary.md").contains("blocked by max_deletions"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_failed_leaves_no_file_and_no_older_plan_in_the_comment() {
    if !can_run() {
        return;
    }
    for (forge, mut place, _) in forges().await {
        place.set("STUB_plan", "2");
        place.run("plan").ends(0);
        place.run("comment").ends(0);
        assert!(place.path("gridkey-plan/plan.json").exists());
        for code in ["1", "64", "130"] {
            place.set("STUB_plan", code);
            place.run("plan").ends(code.parse().unwrap());
            assert!(!place.path("gridkey-plan/plan.json").exists(), "a file of a plan that failed");
            place.run("comment").ends(0);
            let own = forge.own();
            assert_eq!(own.len(), 1);
            assert!(own[0].starts_with("<!-- gridkey:plan -->\n### gridkey could not plan\n"), "{own:?}");
            assert!(own[0].contains(&format!("exit code {code};")), "{own:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_comment_ids_do_not_overwrite_each_other() {
    if !can_run() {
        return;
    }
    for (forge, mut place, _) in forges().await {
        for text in ["first", "second"] {
            // One id is the beginning of the other.
            for id in ["eu", "eu-2"] {
                place.set("GRIDKEY_COMMENT_ID", id);
                place.set("GRIDKEY_OUT", &format!("out-{id}"));
                place.set("STUB_TEXT", &format!("{text} of {id}"));
                place.run("plan").ends(0);
                place.run("comment").ends(0);
            }
        }
        assert_eq!(
            forge.own(),
            ["<!-- gridkey:eu -->\n### second of eu\n", "<!-- gridkey:eu-2 -->\n### second of eu-2\n"]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_comment_is_found_behind_hundreds_of_others() {
    if !can_run() {
        return;
    }
    for (forge, place, edit) in forges().await {
        for number in 0..200 {
            forge.comment("someone", &format!("comment {number}"));
        }
        forge.comment(SELF, "<!-- gridkey:plan -->\r\nan older plan");
        forge.comment("someone", "the last word");
        place.run("plan").ends(0);
        place.run("comment").ends(0);
        assert_eq!(forge.own(), ["<!-- gridkey:plan -->\n### a plan\n"]);
        assert_eq!(forge.comments().len(), 202);
        let pages = forge.requests().into_iter().filter(|line| line.contains("per_page=100&page=")).count();
        assert_eq!(pages, 3);
        assert!(forge.requests().iter().any(|line| line.starts_with(edit)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comments_that_are_not_ours_stay_as_they_are() {
    if !can_run() {
        return;
    }
    for (forge, place, _) in forges().await {
        let theirs = [
            ("someone", "<!-- gridkey:plan -->\na plan that its author could rewrite"),
            (SELF, "quoting <!-- gridkey:plan -->"),
            (SELF, "> first\n<!-- gridkey:plan -->"),
            (SELF, ""),
        ];
        for (author, body) in theirs {
            forge.comment(author, body);
        }
        place.run("plan").ends(0);
        place.run("comment").ends(0);
        let comments = forge.comments();
        assert_eq!(comments.len(), theirs.len() + 1);
        for (comment, (_, body)) in comments.iter().zip(theirs) {
            assert_eq!(comment.body, body);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_named() {
    if !can_run() {
        return;
    }
    for (forge, place, edit) in forges().await {
        place.run("plan").ends(0);
        forge.fail("POST", 403);
        let said = place.run("comment");
        let permission = if edit == "PUT" { "the scope \"api\"" } else { "\"pull-requests: write\"" };
        said.ends(1).says("403").says("Resource not accessible by integration").says(permission);
        // It is not asked for again and again.
        assert_eq!(forge.requests().iter().filter(|line| line.starts_with("POST")).count(), 1);
        assert!(forge.own().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_stumbles_is_asked_again() {
    if !can_run() {
        return;
    }
    for (forge, mut place, edit) in forges().await {
        place.run("plan").ends(0);
        forge.fail("GET", 502);
        forge.fail("POST", 503);
        place.run("comment").ends(0).says("trying again");
        place.set("STUB_TEXT", "another");
        place.run("plan").ends(0);
        forge.fail(edit, 502);
        place.run("comment").ends(0);
        assert_eq!(forge.own(), ["<!-- gridkey:plan -->\n### another\n"]);

        for _ in 0..20 {
            forge.fail("GET", 500);
        }
        place.run("comment").ends(1).says("500");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_whose_answer_was_lost_is_not_made_twice() {
    if !can_run() {
        return;
    }
    for (forge, place, _) in forges().await {
        place.run("plan").ends(0);
        forge.fail_late("POST", 502);
        place.run("comment").ends(0);
        assert_eq!(forge.own(), ["<!-- gridkey:plan -->\n### a plan\n"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_before_a_token_leaves() {
    if !can_run() {
        return;
    }
    let forge = Forge::start().await;
    for (name, value, why) in [
        ("GRIDKEY_COMMENT_ID", "a --> b", "GRIDKEY_COMMENT_ID may have"),
        ("GRIDKEY_COMMENT_ID", "a--b", "GRIDKEY_COMMENT_ID may have"),
        ("GRIDKEY_API_URL", "http://example.com", "does not go over plain HTTP"),
        ("GRIDKEY_API_URL", "http://localhost.example.com", "does not go over plain HTTP"),
        ("GRIDKEY_API_URL", "https://api.github.com@example.com", "no user in it"),
        ("GRIDKEY_TOKEN", "two\nlines", "a character that no token has"),
        ("GRIDKEY_TOKEN", "", "no token"),
        ("GITHUB_REF", "refs/heads/main", "not the run of a pull request"),
        ("GRIDKEY_REQUEST", "7/../8", "not the run of a pull request"),
    ] {
        let mut place = Place::on_github(&forge.url);
        place.run("plan").ends(0);
        place.set(name, value);
        place.run("comment").ends(1).says(why);
    }
    assert!(forge.requests().is_empty(), "{:?}", forge.requests());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gridkey_gets_neither_the_token_nor_empty_variables() {
    if !can_run() {
        return;
    }
    let forge = Forge::start().await;
    let mut place = Place::on_github(&forge.url).with("GRIDKEY_ENV", "").with("GRIDKEY_POLICY", "");
    place.set("GRIDKEY_MANIFEST", "mail/gridkey.yaml");
    place.run("plan").ends(0);
    assert_eq!(
        place.calls(),
        "gridkey plan --format markdown --comment-id plan --detailed-exitcode --out gridkey-plan/plan.json --due \
         exclude\nGRIDKEY_MANIFEST=mail/gridkey.yaml\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_is_compared_and_leaves_no_plan_file() {
    if !can_run() {
        return;
    }
    let place = Place::new().with("GRIDKEY_AGAINST", "../base/gridkey.yaml").with("STUB_plan", "2");
    let place = place.with("GRIDKEY_SARIF", "true").with("GRIDKEY_NO_SINKS", "true");
    place.run("plan").ends(0);
    assert_eq!(
        place.calls(),
        "gridkey plan --format markdown --comment-id plan --detailed-exitcode --against ../base/gridkey.yaml\n"
    );
    assert!(!place.path("gridkey-plan/plan.json").exists());
    assert!(!place.read("outputs").contains("plan-file"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_go_to_code_scanning_when_asked() {
    if !can_run() {
        return;
    }
    let forge = Forge::start().await;
    let place = Place::on_github(&forge.url).with("GRIDKEY_SARIF", "true").with("GITHUB_SHA", "abc123");
    place.run("plan").ends(0);
    assert!(place.calls().contains("gridkey show gridkey-plan/plan.json --format sarif\n"));
    assert!(place.read("outputs").contains("sarif-file=gridkey-plan/plan.sarif\n"));
    // The stand-in has no code scanning.
    place.run("sarif").ends(1).says("404").says("security-events: write");
    let posted: Vec<_> = forge.requests().into_iter().filter(|line| line.starts_with("POST")).collect();
    assert_eq!(posted, ["POST /repos/acme/mail/code-scanning/sarifs with token"]);
}
