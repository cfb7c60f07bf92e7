// ✅ Don't rely on state
module.exports = function(req, res) {
const result = processRequest(req.body);
res.json(result);
};

function processRequest(body) {
  return body;
}
