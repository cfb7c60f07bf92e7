module.exports = async function (req, res) {
// ❌ Don't do this
console.log('User password:', req.body.password);
console.log('API key:', process.env.API_KEY);
// ✅ Safe logging
console.log('User login attempt:', {
email: req.body.email,
timestamp: Date.now()
});
res.end();
};
