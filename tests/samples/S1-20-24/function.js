let cache = {};
module.exports = function(req, res) {
cache[req.query.key] = req.body.value; // Won't persist
res.json(cache);
};
