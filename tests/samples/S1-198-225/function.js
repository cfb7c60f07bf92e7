module.exports = async function(req, res) {
console.log(JSON.stringify({
level: 'info',
message: 'Request received',
method: req.method,
path: req.path,
timestamp: Date.now()
}));
try {
const result = await processRequest(req);
console.log(JSON.stringify({
level: 'info',
message: 'Request processed',
duration: 123,
timestamp: Date.now()
}));
res.json(result);
} catch (error) {
console.log(JSON.stringify({
level: 'error',
message: 'Request failed',
error: error.message,
stack: error.stack,
timestamp: Date.now()
}));
res.status(500).json({ error: error.message });
}
};

async function processRequest(req) {
  if (req.body.fail) throw new Error('the disk is full');
  return { n: 42 };
}
