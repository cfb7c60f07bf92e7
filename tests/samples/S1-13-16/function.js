module.exports = async function(req, res) {
// Handles users, orders, payments, notifications...
// 500+ lines of code
};
