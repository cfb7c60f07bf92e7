const net = require('net');

module.exports = async function (req, res) {
// ❌ Cannot create TCP server
const server = net.createServer();
server.listen(8080);
res.send('not reached');
};
