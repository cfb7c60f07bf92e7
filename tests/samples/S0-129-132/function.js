'use strict';

module.exports = async function (req, res) {
// ✅ Read environment variables
const apiKey = process.env.API_KEY;
// ❌ Cannot modify
process.env.API_KEY = 'new-key'; // No effect
res.json([apiKey, process.env.API_KEY]);
};
