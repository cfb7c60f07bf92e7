module.exports = async function (req, res) {
// ✅ Available
const now = Date.now();
const date = new Date();
// ⚠️ Limited precision
console.time('operation');
// ... operation
console.timeEnd('operation');
res.json([now, date.getTime()]);
};
