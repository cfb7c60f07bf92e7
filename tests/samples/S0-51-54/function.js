module.exports = async function (req, res) {
// ✅ Make outbound HTTP requests
const response = await fetch('https://api.example.com/data');
// ✅ Create WebSocket client connections
const ws = new WebSocket('wss://server.example.com');
ws.onmessage = ({ data }) => {
  ws.close();
  res.json([response.status, response.ok, data]);
};
ws.onopen = () => ws.send('hello');
await new Promise((resolve, reject) => Object.assign(ws, { onclose: resolve, onerror: reject }));
};

// The sample's hosts stand for an upstream of the test.
function fetch(url, init) {
  return globalThis.fetch(url.replace(/^https:\/\/api\.\w+\.com/, process.env.UPSTREAM), init);
}

class WebSocket extends globalThis.WebSocket {
  constructor(url) {
    super(url.replace('wss://server.example.com', process.env.SOCKET));
  }
}
