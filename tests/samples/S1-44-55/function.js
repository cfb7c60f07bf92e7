module.exports = async function(req, res) {
try {
const result = await performOperation(req.body);
res.json({ success: true, result });
} catch (error) {
console.error('Operation failed:', error);
res.status(500).json({
error: 'Operation failed',
message: error.message
});
}
};

async function performOperation(body) {
  if (body.fail) throw new Error('the disk is full');
  return body.n * 2;
}
