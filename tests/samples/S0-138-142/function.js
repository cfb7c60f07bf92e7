let counter = 0; // Reset on each invocation
module.exports = function(req, res) {
counter++;
res.json({ count: counter }); // Always returns 1
};
