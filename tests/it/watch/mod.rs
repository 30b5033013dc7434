//! Whether somebody who watches the bot sees how it is.

mod alive;
mod exposition;
mod figures;
mod monitoring;
mod plans;

use std::net::SocketAddr;

use serde_json::Value;

use self::exposition::Exposition;
use crate::world::World;

const SERVED: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";

fn address(world: &World) -> SocketAddr {
    world.running().web_address().unwrap()
}

async fn get(world: &World, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{}{path}", address(world))).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn json(world: &World, path: &str) -> (u16, Value) {
    let (status, text) = get(world, path).await;
    (status, serde_json::from_str(&text).unwrap())
}

async fn scrape(world: &World) -> Exposition {
    let (status, text) = get(world, "/metrics").await;
    assert_eq!(status, 200, "{text}");
    Exposition::read(&text)
}
