// ✅ Use KV store for state
module.exports = async function(req, res) {
let counter = await kv.get('counter') || 0;
counter++;
await kv.set('counter', counter);
res.json({ count: counter });
};
