//! A stateful double of the ZITADEL HTTP API, held to recordings of the real server.
