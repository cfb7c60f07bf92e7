//! What an operator is told.

use super::*;

#[tokio::test]
async fn an_address_in_use_is_told_with_a_way_out() {
    let held = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = held.local_addr().unwrap();
    let error = listen(address).await.unwrap_err().to_string();
    let told = format!("{address} is in use");
    assert!(
        error.contains(&told) && error.contains("--listen 127.0.0.1:0"),
        "{error}"
    );
}
