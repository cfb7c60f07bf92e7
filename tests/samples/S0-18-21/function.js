const fs = require('fs');

module.exports = async function (req, res) {
// ❌ Won't work
fs.writeFileSync('/data.txt', 'content');
// ✅ Use KV store instead
await kv.set('data', 'content');
res.json(await kv.get('data'));
};
