// The server that the sample names does not exist; the test says where one stands.
const Native = WebSocket;
module.exports = async function(req, res) {
class WebSocket extends Native {
constructor() {
super(req.query.url);
}
}
// ✅ Create WebSocket client connections
const ws = new WebSocket('wss://server.example.com');
ws.onopen = () => ws.send('hello');
ws.onmessage = (event) => res.send(event.data);
};
