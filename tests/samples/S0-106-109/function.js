module.exports = async function (req, res) {
// ❌ This won't work across invocations
setTimeout(() => {
console.log('This runs only during current invocation');
}, 5000);
if (req.query.ms) await sleep(Number(req.query.ms));
res.send('sent');
};
