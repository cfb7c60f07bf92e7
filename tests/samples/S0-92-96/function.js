module.exports = async function (req, res) {
// ❌ Memory intensive
const bigArray = new Array(10000000).fill('data');
// ✅ Memory efficient
const data = await kv.get('data');
res.json(data);
};
