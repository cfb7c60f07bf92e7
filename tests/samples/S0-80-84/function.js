module.exports = async function (req, res) {
// ❌ May timeout
await sleep(60000); // 60 seconds
// ✅ Design for quick responses
res.json({ status: 'processing' });
// Queue heavy work for background processing
};
