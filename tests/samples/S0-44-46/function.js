const http = require('http');

module.exports = async function (req, res) {
// ❌ Cannot create HTTP server
const server = http.createServer();
server.listen(3000);
res.send('not reached');
};
