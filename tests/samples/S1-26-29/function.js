module.exports = async function(req, res) {
await kv.set(req.query.key, req.body.value);
res.json({ success: true });
};
