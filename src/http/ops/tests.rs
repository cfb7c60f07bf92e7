//! The pages on error codes.

use super::*;

#[test]
fn every_code_has_its_page() {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let pages: Vec<&str> = PAGES.iter().map(|(name, _)| *name).collect();
    assert_eq!(pages, codes);
    for (name, text) in PAGES {
        assert!(text.contains(name), "{name}");
    }
}

#[tokio::test]
async fn a_page_is_found_by_its_code_alone() {
    let page = error_page(Ok(Path("tenant_busy".to_owned())))
        .await
        .unwrap()
        .into_response();
    assert_eq!(page.headers()[CONTENT_TYPE], "text/markdown; charset=utf-8");
    for none in ["", "TENANT_BUSY", "../how-to"] {
        assert!(
            error_page(Ok(Path(none.to_owned()))).await.is_err(),
            "{none}"
        );
    }
}
